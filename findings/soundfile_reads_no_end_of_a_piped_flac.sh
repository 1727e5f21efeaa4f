#!/usr/bin/env bash
# Guess: soundfile reads a FLAC file that was written to a pipe, whose header cannot state the number
# of samples; 0 means "unknown" in the format, and the frames themselves are complete.
#
# What happens: the file seems to have 2**63 - 1 frames. `soundfile.read` tries to allocate them and
# raises "array is too big"; `frames` in `info` is that number, so sums of durations are nonsense.
# ffmpeg reads the file.
#
# Seen with soundfile 0.14.0 (its libsndfile), numpy 2.4.6, imageio-ffmpeg 0.8.1 (ffmpeg n9.0.2):
#     soundfile: 9223372036854775807 frames, ValueError: array is too big
#     ffmpeg: 88200 samples
#
# Why it matters here: recordings are often streamed from a recorder or `ffmpeg ... -f flac -`. avsed
# decodes all media with ffmpeg, and counts the samples that it gets.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1 \
    soundfile==0.14.0 numpy==2.4.6
ffmpeg=$("$folder/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')

cd "$folder"
"$ffmpeg" -loglevel error -f lavfi -i sine=duration=2:sample_rate=44100 -f flac - | cat > piped.flac
venv/bin/python - <<'PYTHON'
import sys

import soundfile

n_frames = soundfile.info("piped.flac").frames
try:
    soundfile.read("piped.flac")
    error = ""
except ValueError as caught:
    error = f"ValueError: {caught}".split(";")[0]
print(f"soundfile: {n_frames} frames, {error or 'no error'}")
if n_frames == 88_200 or not error:
    sys.exit("changed: the file is read")
PYTHON
bytes=$("$ffmpeg" -loglevel error -i piped.flac -f s16le - | wc -c)
echo "ffmpeg: $((bytes / 2)) samples"
[ "$bytes" -eq 176400 ] || { echo "changed: ffmpeg read 88200 samples before" >&2; exit 1; }
