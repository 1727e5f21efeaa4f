#!/usr/bin/env bash
# Guess: the time that ffmpeg gives to a stream counts from the start of the file, whichever of its
# streams are decoded; so it does for mp4 and Matroska.
#
# What happens: for MPEG-TS, MPEG-PS and Ogg, it counts from the first of the streams that are mapped.
# Sound that starts 0.3 s after the images starts at 0.3 s if both are decoded in one command, and at
# 0 if it is decoded alone (`-map 0:a`), also with `aresample=first_pts=0`.
#
# Seen with imageio-ffmpeg 0.8.1 (ffmpeg n9.0.2), start of the sound alone, and beside the images:
#     ts: 0.00 s, 0.29 s
#     mpg: 0.00 s, 0.29 s
#     ogv: 0.00 s, 0.30 s
#     mkv: 0.30 s, 0.30 s
#
# Why it matters here: cameras (AVCHD) and receivers record MPEG-TS, whose streams seldom start at one
# time. Features of sound and images that are computed apart would not fit together. avsed reads the
# start of both streams in ffmpeg's description, and adds the difference (`-itsoffset`).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1

cat > "$folder/alone.py" <<'PYTHON'
import re
import subprocess
import sys

import imageio_ffmpeg


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-y", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stderr.decode()


def start(path, *others):
    log = ffmpeg("-i", path, "-map", "0:a", "-af", "ashowinfo", "-f", "null", "-", *others)
    return float(re.search(r" n:0 .*? pts_time:(\S+)", log)[1])


CODECS = {
    "ts": ("libx264", "ac3"),
    "mpg": ("mpeg2video", "mp2"),
    "ogv": ("libtheora", "libvorbis"),
    "mkv": ("libx264", "ac3"),
}
starts = {}
for extension, (video, audio) in CODECS.items():
    path = f"late.{extension}"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc=size=64x64:rate=25:duration=2"),
        *("-itsoffset", "0.3", "-f", "lavfi", "-i", "sine=duration=2:sample_rate=48000"),
        *("-map", "0", "-map", "1", "-c:v", video, "-c:a", audio, path),
    )
    starts[extension] = start(path), start(path, "-map", "0:v", "-f", "null", "-")
    print("{}: {:.2f} s, {:.2f} s".format(extension, *starts[extension]))
if starts["ts"][0] > 0.1 or starts["mpg"][0] > 0.1 or starts["ogv"][0] > 0.1:
    sys.exit("changed: sound that was decoded alone started at 0 before")
if min(together for _, together in starts.values()) < 0.2 or starts["mkv"][0] < 0.2:
    sys.exit("changed: the late start was kept beside the images, and in mkv, before")
PYTHON
cd "$folder"
venv/bin/python alone.py
