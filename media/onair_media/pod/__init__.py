"""The ingest pod: one channel in a process of its own, driven over its control port (DESIGN: Parts).

`settings` reads what is mounted, `channel` holds what the operator asked for, `control` and `probes` are its two HTTP
faces beside playback, `app` starts and stops all of it in order.
"""
