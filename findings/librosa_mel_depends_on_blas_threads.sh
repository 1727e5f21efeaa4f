#!/usr/bin/env bash
# Guess: the mel spectrogram of a waveform is a fixed function of it; the number of threads changes
# how long it takes, and at most the last digits of float32, which rounding to float16 removes.
#
# What happens: librosa multiplies the spectrogram with the mel filters by BLAS, which sums in
# another order with another number of threads. For 10 s of white noise, in dB and rounded to
# float16, most spectrograms differ between OPENBLAS_NUM_THREADS=1 and 2. It depends on the
# processor: with OpenBLAS's kernels for AVX-512 (SkylakeX), none does. The kernels for AVX2 are
# chosen here, so that every recent x86-64 processor shows the same.
#
# Seen with librosa 0.11.0, numpy 2.4.6 (OpenBLAS of its wheel), OPENBLAS_CORETYPE=Haswell:
#     spectrograms that differ: 10 of 12
#
# Why it matters here: features are cached in float16 and compared by hash. A cache computed on one
# core is not, to the bit, the cache of two.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check librosa==0.11.0 numpy==2.4.6

cat > "$folder/mel.py" <<'PYTHON'
import hashlib

import librosa
import numpy as np

for seed in range(12):
    noise = np.random.default_rng(seed).standard_normal(221_000).astype(np.float32)
    noise /= np.abs(noise).max()
    mel = librosa.feature.melspectrogram(
        y=noise, sr=22_100, n_fft=2048, hop_length=366, n_mels=128, power=1.0
    )
    decibels = librosa.amplitude_to_db(mel, ref=1.0, amin=1e-5, top_db=None)
    print(hashlib.sha256(decibels.astype(np.float16).tobytes()).hexdigest())
PYTHON
for threads in 1 2; do
    OPENBLAS_CORETYPE=Haswell OPENBLAS_NUM_THREADS=$threads "$folder/venv/bin/python" "$folder/mel.py" > "$folder/$threads.txt"
done
n_differ=$(paste -d ' ' "$folder/1.txt" "$folder/2.txt" | awk '$1 != $2' | wc -l)
echo "spectrograms that differ: $n_differ of 12"

if [ "$(nproc)" -lt 2 ]; then
    echo "one core only: BLAS uses one thread in both runs, so nothing can be said" >&2
    exit 1
fi
if [ "$n_differ" -eq 0 ]; then
    echo "changed: the spectrograms do not depend on the number of BLAS threads any more" >&2
    exit 1
fi
