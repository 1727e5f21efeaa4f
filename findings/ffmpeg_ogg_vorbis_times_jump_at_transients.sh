#!/usr/bin/env bash
# Guess: the time stamps that ffmpeg gives to a plain Ogg Vorbis file are those of its samples, one
# after the other, since granule positions count samples; `aresample=async` has nothing to do.
#
# What happens: where a page ends among long and short packets, which encoders use at transients, the
# time stamps jump ahead and back by a quarter of the difference of the packets: 448 samples, 10.2 ms,
# as libvorbis encodes 44.1 kHz. No sample is missing. The same packets in Matroska have no jumps.
#
# Seen with imageio-ffmpeg 0.8.1 (ffmpeg n9.0.2), for 8 s with claps:
#     jumps in Ogg: 20 of 10.2 ms at most, in Matroska: 0
#     largest difference by aresample=async=1000:min_hard_comp=0.01: 0.72
#
# Why it matters here: sound is kept near its time stamps, and gaps from 10 ms are filled. Claps and
# barks lost 10 ms or were split by silence. avsed tolerates 50 ms in Vorbis, in any container, since
# `-c copy` writes the jumps to the others as well.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1 numpy==2.4.6

cat > "$folder/jumps.py" <<'PYTHON'
import re
import subprocess
import sys

import imageio_ffmpeg
import numpy as np


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-y", *arguments]
    return subprocess.run(command, capture_output=True, check=True)


def jumps(path):
    """Return the differences in ms between the end of each frame and the start of the next one."""
    log = ffmpeg("-i", path, "-af", "ashowinfo", "-f", "null", "-").stderr.decode()
    shown = re.findall(r" pts:(\d+) .*? nb_samples:(\d+)", log)
    starts, lengths = np.array(shown, dtype=int).T
    differences = starts[1:] - (starts + lengths)[:-1]
    return differences[differences != 0] / 44.1


def decoded(path, *filters):
    return np.frombuffer(ffmpeg("-i", path, *filters, "-f", "f32le", "-").stdout, "<f4")


rng = np.random.default_rng(0)
sound = 0.003 * rng.standard_normal(8 * 44_100)
for onset in rng.uniform(0.2, 7.5, 12):
    clap = rng.standard_normal(4_000) * np.exp(-np.arange(4_000) / 300)
    sound[int(onset * 44_100) :][:4_000] += 0.3 * clap
sound.clip(-1, 1).astype("<f4").tofile("claps.raw")
raw = ("-f", "f32le", "-ar", "44100", "-ac", "1", "-i", "claps.raw")
ffmpeg(*raw, "-c:a", "libvorbis", "claps.ogg")
ffmpeg(*raw, "-c:a", "libvorbis", "claps.mka")

in_ogg, in_matroska = jumps("claps.ogg"), jumps("claps.mka")
print(
    f"jumps in Ogg: {len(in_ogg)} of {np.abs(in_ogg).max(initial=0):.1f} ms at most, "
    f"in Matroska: {np.sum(np.abs(in_matroska) > 2)}"
)
plain = decoded("claps.ogg")
kept = decoded("claps.ogg", "-af", "aresample=async=1000:min_hard_comp=0.01")
n_samples = min(len(plain), len(kept))
difference = np.abs(plain[:n_samples] - kept[:n_samples]).max()
print(f"largest difference by aresample=async=1000:min_hard_comp=0.01: {difference:.2f}")
if not len(in_ogg) or difference < 0.1:
    sys.exit("changed: the time stamps of Ogg Vorbis follow its samples")
PYTHON
cd "$folder"
venv/bin/python jumps.py
