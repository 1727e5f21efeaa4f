#!/usr/bin/env bash
# Guess: `count_frames()` of imageio's reader, which decodes the film to count, is the number of frames
# that the same reader gives.
#
# What happens: it counts the images in the file. Reading repeats images to fill a constant rate: of a
# variable rate, such as of phones and screen recordings, there are more, and a loop over the count
# ends before the film does.
#
# Seen with imageio 2.38.1, imageio-ffmpeg 0.8.1 (ffmpeg n9.0.2), 1 s at 10 and 1 s at 50 images per s:
#     count_frames: 60, frames read: 102
#
# Why it matters here: an image's number is not its time. avsed gives each frame the image nearest in
# time, by the time stamps of the film.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio==2.38.1 \
    imageio-ffmpeg==0.8.1 numpy==2.4.6

cat > "$folder/count.py" <<'PYTHON'
import subprocess
import sys

import imageio
import imageio_ffmpeg

subprocess.run(
    [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error"),
        *("-f", "lavfi", "-i", "testsrc=size=64x64:rate=50:duration=2"),
        *("-vf", "select='if(lt(t,1),not(mod(n,5)),1)'", "-fps_mode", "vfr"),
        *("-enc_time_base", "1/1000", "film.mp4"),
    ],
    check=True,
)
reader = imageio.get_reader("film.mp4", "ffmpeg")
n_counted = reader.count_frames()
n_read = sum(1 for _ in reader)
print(f"count_frames: {n_counted}, frames read: {n_read}")
if n_counted == n_read:
    sys.exit("changed: the numbers agree")
PYTHON
cd "$folder"
venv/bin/python count.py
