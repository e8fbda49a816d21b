"""How the operator talks to ingest pods (`onair_core.contract.control`). It believes none of them.

| module | what it is | I/O |
|---|---|---|
| `errors` | what goes wrong with a pod | none |
| `lines` | a journal's lines to events, within limits | none |
| `client` | one pod's control port: requests and its events | aiohttp |
| `follower` | one pod's events, read for as long as it is there | the client |
| `followers` | all of them, as reconciles see them | the client |
| `metrics` | how many, how much, how often anew | none |
"""
