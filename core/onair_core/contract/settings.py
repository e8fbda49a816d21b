"""What the Secret of an ingest pod has in it, and so the folder that it is mounted at."""

CONFIG = "config.json"
"""A `PodConfig`: what the pod starts with."""
TOKEN = "token"  # noqa: S105 - the name of a file
"""The bearer token of the control port."""
CERTIFICATE = "tls.crt"
"""The certificate of the control port, which the operator pins."""
KEY = "tls.key"
"""Its key."""
