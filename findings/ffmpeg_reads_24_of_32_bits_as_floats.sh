#!/usr/bin/env bash
# Guess: a WAV file whose samples have 24 valid bits in containers of 32 (WAVE_FORMAT_EXTENSIBLE, as
# Windows and recorders write it) is decoded by its container; the valid bits say how exact it is.
#
# What happens: ffmpeg chooses the decoder by the number of valid bits. 24 of 32 bits become
# `pcm_f24le`, a floating-point format, so that the samples are NaN and near 0; 20 of 32 become
# `pcm_s24le`, which reads samples of 3 bytes: noise, and a third more of it. ffmpeg exits with 0.
# soundfile reads both as they are; so does ffmpeg with `-c:a pcm_s32le` before the input.
#
# Seen with imageio-ffmpeg 0.8.1 (ffmpeg n9.0.2) and soundfile 0.14.0, for a tone of 0.5:
#     24 of 32 bits: soundfile 0.50, ffmpeg nan, with the decoder 0.50
#     20 of 32 bits: soundfile 0.50, ffmpeg 1.00, with the decoder 0.50
#
# Why it matters here: the first kind was excluded for its NaN, and the second one was noise in the
# features without a word. avsed reads the header itself, and chooses the decoder of such files.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1 \
    soundfile==0.14.0 numpy==2.4.6

cat > "$folder/valid_bits.py" <<'PYTHON'
import struct
import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import soundfile

PCM = bytes.fromhex("0100000000001000800000aa00389b71")
tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)


def write(path, valid_bits):
    samples = np.round(tone * 2 ** (valid_bits - 1)).astype("<i4") << (32 - valid_bits)
    layout = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 48_000, 192_000, 4, 32, 22, valid_bits, 4) + PCM
    data = samples.astype("<i4").tobytes()
    chunks = b"fmt " + struct.pack("<I", 40) + layout + b"data" + struct.pack("<I", len(data)) + data
    with open(path, "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)


def peak(path, *decoder):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "quiet", *decoder, "-i", path]
    output = subprocess.run([*command, "-f", "f32le", "-"], capture_output=True, check=True).stdout
    return np.abs(np.frombuffer(output, "<f4")).max()


peaks = {}
for valid_bits in (24, 20):
    write("tone.wav", valid_bits)
    peaks[valid_bits] = peak("tone.wav")
    read, forced = np.abs(soundfile.read("tone.wav")[0]).max(), peak("tone.wav", "-c:a", "pcm_s32le")
    print(
        f"{valid_bits} of 32 bits: soundfile {read:.2f}, ffmpeg {peaks[valid_bits]:.2f}, "
        f"with the decoder {forced:.2f}"
    )
if not np.isnan(peaks[24]) or peaks[20] < 0.9:
    sys.exit("changed: NaN and noise of full scale were seen before")
PYTHON
cd "$folder"
venv/bin/python valid_bits.py
