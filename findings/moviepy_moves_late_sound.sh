#!/usr/bin/env bash
# Guess: the sound of a film is at its time in moviepy: `VideoFileClip.audio` and the images of the
# clip have one time line, and a stream that starts late does so in the clip.
#
# What happens: sound that starts 1 s after the images starts at 0; it is read to the end of its
# stream, and the clip's `audio.duration` is that of the film.
#
# Seen with moviepy 2.2.1, imageio-ffmpeg 0.8.1 (ffmpeg n9.0.2), a click at 2.0 s:
#     mkv: 1.00 s, mp4: 1.02 s
#
# Why it matters here: tools that cut clips with moviepy, or write "corrected" films, move events
# against their annotations. avsed fills the time before the sound with silence.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check moviepy==2.2.1 \
    imageio-ffmpeg==0.8.1 numpy==2.4.6

cat > "$folder/late.py" <<'PYTHON'
import subprocess
import sys

import imageio_ffmpeg
import numpy as np
from moviepy import VideoFileClip


def click(extension):
    path = f"late.{extension}"
    sound = "aevalsrc='0.9*gte(t,1)*lt(t,1.01)*sin(2*PI*1000*t)':sample_rate=44100:duration=2"
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error"),
            *("-f", "lavfi", "-i", "testsrc=size=64x64:rate=25:duration=5"),
            *("-itsoffset", "1", "-f", "lavfi", "-i", sound),
            *("-map", "0", "-map", "1", "-c:a", "aac", path),
        ],
        check=True,
    )
    with VideoFileClip(path) as clip:
        samples = clip.audio.to_soundarray(fps=44_100)
    return np.flatnonzero(np.abs(samples[:, 0]) > 0.3)[0] / 44_100


found = {extension: click(extension) for extension in ("mkv", "mp4")}
print(", ".join(f"{extension}: {seconds:.2f} s" for extension, seconds in found.items()))
if any(seconds > 1.5 for seconds in found.values()):
    sys.exit("changed: the click at 2.0 s was at 1.0 s before")
PYTHON
cd "$folder"
venv/bin/python late.py
