#!/usr/bin/env bash
# Makes a virtual environment with OnAir and the named extras in it: tools/venv.sh PYTHON FOLDER EXTRAS
set -euo pipefail
python=$1 folder=$2 extras=$3

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "OnAir needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Another one: make PYTHON=python3.12 …" >&2
    exit 1
}
if [ ! -x "$folder/bin/pip" ]; then
    rm -rf "$folder"
    if ! "$python" -m venv "$folder" >/dev/null 2>&1; then
        # Debian keeps ensurepip in a package of its own.
        echo "$python cannot make virtual environments; installing python3-venv" >&2
        "$(dirname "$0")/apt.sh" python3-venv || {
            echo "Please run: apt-get install python3-venv" >&2
            exit 1
        }
        rm -rf "$folder"
        "$python" -m venv "$folder"
    fi
fi
echo "Installing OnAir [$extras] into $folder (about a minute) …" >&2
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extras]"
