#!/usr/bin/env bash
# Guess: an ffmpeg that must not overwrite its output file fails, and says so by its exit status.
#
# What happens: without `-y`, ffmpeg 9.0.2 prints "Not overwriting - exiting" and "Error opening
# output file", writes nothing, and exits with status 0; so it does with `-n`. The content of the
# old file is kept.
#
# Seen with imageio-ffmpeg 0.8.1 (ffmpeg n9.0.2):
#     status without -y: 0, status with -n: 0, old file kept: yes
#
# Why it matters here: ffmpeg's threads deadlock now and then, so runs are repeated. The first
# attempt leaves a partial file; a second one without `-y` would "succeed" and leave it there, as
# truncated media in a page of predictions. Every command of avsed that writes a file has `-y`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1
ffmpeg=$("$folder/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
"$ffmpeg" -version | head -n 1

cd "$folder"
"$ffmpeg" -loglevel error -f lavfi -i sine=duration=1 tone.wav
printf 'old content' > out.wav

asked=0 refused=0
"$ffmpeg" -loglevel error -i tone.wav out.wav < /dev/null || asked=$?
"$ffmpeg" -loglevel error -n -i tone.wav out.wav < /dev/null || refused=$?
kept=no
[ "$(cat out.wav)" = 'old content' ] && kept=yes
echo "status without -y: $asked, status with -n: $refused, old file kept: $kept"

if [ "$asked $refused $kept" != "0 0 yes" ]; then
    echo "changed: ffmpeg's status now tells that it wrote nothing, or it overwrites the file" >&2
    exit 1
fi
