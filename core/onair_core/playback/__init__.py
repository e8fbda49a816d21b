"""Playback addresses, shared by what serves them and by what prints them."""
