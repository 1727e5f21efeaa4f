#!/usr/bin/env bash
# Guess: a sound at 1.000 s stays there when a recording is encoded as WMA and decoded again, as with
# MP3, AAC and Opus in their own containers.
#
# What happens: from WMA, ffmpeg decodes one frame of 2048 samples less than from the same sound in
# Matroska, so that all is 46 ms early. The time stamps say that the first sample is at 92 ms: ASF has
# none below 0, so the encoder's delay was added to all of them. By them (`first_pts=0`), all is
# 46 ms late.
#
# Seen with imageio-ffmpeg 0.8.1 (ffmpeg n9.0.2), wmav2 at 44.1 kHz, a click at 1.000 s:
#     wma: 0.954 s, by time stamps: 1.046 s; Matroska: 1.000 s
#
# Why it matters here: 46 ms are most of a frame of 66 ms. avsed follows the time stamps of the file,
# and is late by 46 ms for files that ffmpeg encoded.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1 numpy==2.4.6

cat > "$folder/click.py" <<'PYTHON'
import subprocess
import sys

import imageio_ffmpeg
import numpy as np


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout


def click(path, *filters):
    samples = np.frombuffer(ffmpeg("-i", path, *filters, "-f", "f32le", "-"), "<f4")
    return np.abs(samples).argmax() / 44_100


sound = np.zeros(2 * 44_100, "<f4")
sound[44_100:44_110] = 0.9
sound.tofile("click.raw")
for path in ("click.wma", "click.mka"):
    ffmpeg("-f", "f32le", "-ar", "44100", "-ac", "1", "-i", "click.raw", "-c:a", "wmav2", path)
early, late = click("click.wma"), click("click.wma", "-af", "aresample=first_pts=0")
matroska = click("click.mka")
print(f"wma: {early:.3f} s, by time stamps: {late:.3f} s; Matroska: {matroska:.3f} s")
if abs(early - 1) < 0.02 or abs(late - 1) < 0.02 or abs(matroska - 1) > 0.002:
    sys.exit("changed: 0.954, 1.046 and 1.000 s were seen before")
PYTHON
cd "$folder"
venv/bin/python click.py
