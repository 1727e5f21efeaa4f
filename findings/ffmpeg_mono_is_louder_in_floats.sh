#!/usr/bin/env bash
# Guess: `ffmpeg -ac 1` mixes two channels to mono in one way; the format of the output's samples
# decides about rounding only. The same holds for PyAV's AudioResampler and a layout of "mono".
#
# What happens: the mix is 0.5 L + 0.5 R if the samples that come out are integers, and 0.71 L + 0.71 R
# if they are floats, which is 3 dB more. Encoders such as AAC ask for floats. With six channels it is
# 10.7 dB more.
#
# Seen with imageio-ffmpeg 0.8.1 (ffmpeg n9.0.2) and av 18.1.0, for equal channels, relative to each:
#     ffmpeg -ac 1: s16 1.000, s24 1.000, f32 1.414; six channels: s16 1.000, f32 3.414
#     PyAV: s16 1.000, flt 1.414
#
# Why it matters here: features of networks depend on the level, and a threshold in dB does so more.
# A file that was mixed by a script before, and one that was not, would differ by 3 dB. avsed mixes
# to the mean (`rematrix_maxval=1`, and `pan` for more than two channels).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1 av==18.1.0 \
    numpy==2.4.6

cat > "$folder/mono.py" <<'PYTHON'
import subprocess
import sys

import av
import imageio_ffmpeg
import numpy as np

tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout


def level(samples):
    return np.std(samples) / np.std(tone)


def by_ffmpeg(path, n_bits):
    if n_bits == 32:
        return level(np.frombuffer(ffmpeg("-i", path, "-ac", "1", "-f", "f32le", "-"), "<f4"))
    codec = f"pcm_s{n_bits}le"
    ffmpeg("-i", path, "-ac", "1", "-c:a", codec, "mono.wav")
    return level(np.frombuffer(ffmpeg("-i", "mono.wav", "-f", "f32le", "-"), "<f4"))


def by_pyav(path, sample_format, scale):
    resampler = av.AudioResampler(format=sample_format, layout="mono", rate=44_100)
    with av.open(path) as container:
        frames = [mixed for frame in container.decode(audio=0) for mixed in resampler.resample(frame)]
    return level(np.concatenate([frame.to_ndarray().ravel() for frame in frames]) / scale)


for name, n_channels in (("stereo.wav", 2), ("six.wav", 6)):
    np.repeat(tone.astype("<f4"), n_channels).tofile("channels.raw")
    form = ("-f", "f32le", "-ar", "44100", "-ac", str(n_channels), "-i", "channels.raw")
    ffmpeg(*form, "-c:a", "pcm_f32le", name)
levels = {bits: by_ffmpeg("stereo.wav", bits) for bits in (16, 24, 32)}
six = {bits: by_ffmpeg("six.wav", bits) for bits in (16, 32)}
pyav = by_pyav("stereo.wav", "s16", 2**15), by_pyav("stereo.wav", "flt", 1)
print(
    f"ffmpeg -ac 1: s16 {levels[16]:.3f}, s24 {levels[24]:.3f}, f32 {levels[32]:.3f}; "
    f"six channels: s16 {six[16]:.3f}, f32 {six[32]:.3f}"
)
print(f"PyAV: s16 {pyav[0]:.3f}, flt {pyav[1]:.3f}")
seen = [levels[16], levels[32], six[16], six[32], *pyav]
if not np.allclose(seen, [1, 2**0.5, 1, 2 + 2**0.5, 1, 2**0.5], atol=0.01):
    sys.exit("changed: integers were mixed to their mean, and floats 1.41 and 3.41 times as high")
PYTHON
cd "$folder"
venv/bin/python mono.py
