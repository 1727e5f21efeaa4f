"""Features do not depend on the number of threads of NumPy's matrix products."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

COMPUTE = """
import hashlib, sys
from pathlib import Path
from avsed.features.extraction.batching import decode_clip
from avsed.features.spectral import make_extractor
from avsed.params import Spectral

extractor = make_extractor(Spectral(window_length=2048, log_floor=1e-5))
for path in sys.argv[1:]:
    inputs = decode_clip({"spectral": extractor}, Path(path), 10.0)["spectral"]
    print(hashlib.sha256(inputs.rows.numpy().tobytes()).hexdigest())
"""


def test_spectra_of_noise_are_the_same_with_one_thread_and_two(tmp_path: Path) -> None:
    paths = []
    for seed in range(4):
        noise = np.random.default_rng(seed).normal(0.0, 0.1, 220_500)
        paths.append(tmp_path / f"{seed}.wav")
        soundfile.write(paths[-1], noise, 22_050)
    hashes = [
        subprocess.run(
            [sys.executable, "-c", COMPUTE, *paths],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for threads in ("1", "2")
    ]
    assert len(hashes[0]) == 4
    assert hashes[0] == hashes[1]
