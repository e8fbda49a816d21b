#!/usr/bin/env bash
# Installs Debian packages where that is possible: tools/apt.sh PACKAGE…   Exit 1 with a reason where it is not.
set -euo pipefail
command -v apt-get >/dev/null || { echo "no apt-get here: install yourself: $*" >&2; exit 1; }
if [ "$(id -u)" = 0 ]; then sudo=(); elif sudo -n true 2>/dev/null; then sudo=(sudo -n); else
    echo "not root and no password-less sudo: install yourself: $*" >&2
    exit 1
fi
# A new machine may be at its own first updates: wait for them.
apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends "$@" >/dev/null
