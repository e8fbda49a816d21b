"""`onair push`: a built-in encoder, so that nobody needs OBS to try a stream."""
