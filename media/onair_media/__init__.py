"""Data plane: RTMP in, CMAF packaged, HLS out, recordings kept."""
