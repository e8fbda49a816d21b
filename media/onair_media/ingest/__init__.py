"""Where the parts meet sockets, files and clocks: publishers in, channels run.

`server` accepts, `wire` moves bytes (plain or TLS), `session` is one RTMP connection, `ticker` reads live publishers
together, `channel` is one LiveStream's life, `journal` keeps what happened, `host` holds the channels.
"""
