"""Waits until the API server serves a kind: `await_crds.py GROUP/VERSION PLURAL`, in a pod with a token.

Of several API servers some know it later, so it has to be there several times in a row.
"""

import json
import os
import ssl
import sys
import time
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
IN_A_ROW = 5


def served(version: str, plural: str) -> bool:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    host = f"[{host}]" if ":" in host else host
    token = (ACCOUNT / "token").read_text(encoding="utf-8")
    request = urllib.request.Request(
        f"https://{host}:{port}/apis/{version}", headers={"Authorization": f"Bearer {token}"}
    )
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, context=trusted, timeout=5) as answer:
            return any(kind["name"] == plural for kind in json.load(answer)["resources"])
    except (OSError, ValueError) as error:
        sys.stdout.write(f"not yet: {error}\n")
        return False


seen = 0
while seen < IN_A_ROW:
    seen = seen + 1 if served(sys.argv[1], sys.argv[2]) else 0
    time.sleep(0.5)
