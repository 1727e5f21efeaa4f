#!/usr/bin/env bash
# Guess: `SlidingWindowFeature.crop` of pyannote.core gives neighboring segments of three windows each
# the same number of rows: three whose centers they contain, or five with those that they touch.
#
# What happens: the number depends on how the borders are rounded in floating point. It is between 3
# and 5, of centers as well, and 2 or 3 for the windows that a segment contains.
#
# Seen with pyannote.core 6.1.0, numpy 2.4.6, windows of 0.1 s, segments of 0.3 s from 0.3, 0.6, ... s:
#     loose: 4 5 4 5 5 5 4 5 5
#     center: 4 4 4 4 5 3 5 4 4
#     strict: 3 3 2 2 3 3 2 3 2
#
# Why it matters here: rows of neighboring segments overlap or leave gaps, and labels are shifted by a
# frame against them. avsed counts frames in one place, and rounds before (avsed.framing).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyannote.core==6.1.0 numpy==2.4.6

cat > "$folder/crop.py" <<'PYTHON'
import sys

import numpy as np
from pyannote.core import Segment, SlidingWindow, SlidingWindowFeature

windows = SlidingWindow(duration=0.1, step=0.1, start=0.0)
features = SlidingWindowFeature(np.arange(100)[:, None], windows)
borders = [(n_tenths / 10, (n_tenths + 3) / 10) for n_tenths in range(3, 30, 3)]
differs = False
for mode in ("loose", "center", "strict"):
    counts = [len(features.crop(Segment(*border), mode=mode)) for border in borders]
    print(f"{mode}:", *counts)
    differs |= len(set(counts)) > 1
if not differs:
    sys.exit("changed: segments of one length have as many rows")
PYTHON
cd "$folder"
venv/bin/python crop.py
