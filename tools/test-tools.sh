#!/usr/bin/env bash
# The real encoders, players and peers that the tests drive. What cannot be installed here is named; its tests skip and
# say so. With arguments: just those packages.
set -euo pipefail
cd "$(dirname "$0")/.."
all=(
    ffmpeg
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
    gstreamer1.0-plugins-ugly gstreamer1.0-libav
    librtmp1 rtmpdump
    obs-studio obs-plugins xvfb xauth libgl1-mesa-dri
    chromium
    iproute2
    nginx libnginx-mod-rtmp
)
command -v npm >/dev/null || all+=(nodejs npm)
[ $# -eq 0 ] || all=("$@")

missing=()
for package in "${all[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "Installing for the tests: ${missing[*]}"
# A server that Debian starts at installation is not wanted here: the tests run their own.
tools/apt.sh "${missing[@]}" || echo "Without them some tests will be skipped, each with its reason."
