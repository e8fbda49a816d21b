"""Says how the operator is: `check_health.py URL`, for `helm test`. A minute, as it may be starting."""

import sys
import time
import urllib.request

ENOUGH_SECONDS = 60
url, began = sys.argv[1], time.monotonic()
for path, wanted in (("/healthz", ""), ("/readyz", ""), ("/metrics", "onair_")):
    while True:
        try:
            with urllib.request.urlopen(url + path, timeout=5) as answer:
                body = answer.read().decode()
            assert wanted in body, f"no metric {wanted}… in it"
        except (OSError, AssertionError) as error:
            if time.monotonic() > began + ENOUGH_SECONDS:
                sys.exit(f"{url}{path}: {error}")
            time.sleep(1)
        else:
            sys.stdout.write(f"{url}{path}: ok\n")
            break
