"""The watch page: a player in plain HTML, CSS and JavaScript, without anything from other hosts.

`assets` loads it, `vendor` fetches hls.js at build time. The page is served by `onair_media.playback`.
"""
