#!/usr/bin/env bash
# Installs Debian packages where that is possible: tools/apt.sh PACKAGE…   Exit 1 with a reason where it is not.
set -euo pipefail
command -v apt-get >/dev/null || { echo "no apt-get here: install yourself: $*" >&2; exit 1; }
if [ "$(id -u)" = 0 ]; then sudo=(); elif sudo -n true 2>/dev/null; then sudo=(sudo -n); else
    echo "not root and no password-less sudo: install yourself: $*" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
