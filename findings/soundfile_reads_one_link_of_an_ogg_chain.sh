#!/usr/bin/env bash
# Guess: soundfile reads all of a chained Ogg file, as recorders of internet radio write and as
# `cat a.ogg b.ogg` makes; chains are part of the format (RFC 3533), and ffmpeg reads them.
#
# What happens: it reads the first link, and reports its length as that of the file, without an error
# or a warning: half of the sound is missing. Vorbis and Opus alike.
#
# Seen with soundfile 0.14.0 (its libsndfile), imageio-ffmpeg 0.8.1 (ffmpeg n9.0.2), two links of 2 s:
#     vorbis: soundfile 2.00 s, ffmpeg 4.01 s
#     opus: soundfile 2.00 s, ffmpeg 4.00 s
#
# Why it matters here: a clip's annotations would lie beyond its end. avsed decodes with ffmpeg, which
# reads all links.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1 \
    soundfile==0.14.0 numpy==2.4.6

cat > "$folder/chain.py" <<'PYTHON'
import subprocess
import sys

import imageio_ffmpeg
import soundfile


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout


changed = False
for codec in ("vorbis", "opus"):
    content = b""
    for number, frequency in enumerate((440, 880)):
        sound = f"sine=frequency={frequency}:duration=2:sample_rate=48000"
        link = f"{codec}{number}.ogg"
        ffmpeg("-f", "lavfi", "-i", sound, "-c:a", f"lib{codec}", link)
        with open(link, "rb") as file:
            content += file.read()
    with open("chain.ogg", "wb") as file:
        file.write(content)
    by_soundfile = len(soundfile.read("chain.ogg")[0]) / 48_000
    by_ffmpeg = len(ffmpeg("-i", "chain.ogg", "-f", "f32le", "-")) / 4 / 48_000
    print(f"{codec}: soundfile {by_soundfile:.2f} s, ffmpeg {by_ffmpeg:.2f} s")
    changed |= by_soundfile > 2.1 or by_ffmpeg < 3.9
if changed:
    sys.exit("changed: soundfile read 2 s, and ffmpeg 4 s")
PYTHON
cd "$folder"
venv/bin/python chain.py
