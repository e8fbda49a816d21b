"""Writes to the API server: what is as it should be is not written again."""
