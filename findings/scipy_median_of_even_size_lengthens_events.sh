#!/usr/bin/env bash
# Guess: `scipy.ndimage.median_filter` of an even size takes the mean of the two middle values, as
# `numpy.median` does, or moves events by half a frame; it does not change how long they last.
#
# What happens: it takes the higher of the two, so that events are one frame longer, and two events
# one frame nearer to each other; events of half the size are kept. The mean would be 0.5 there.
#
# Seen with scipy 1.17.1, numpy 2.4.6, an event of 4 frames and a filter of 6:
#     frames before: 4, after: 5; medians of numpy of 1: 3, of 0.5: 2
#
# Why it matters here: decisions are smoothed by a median filter, and sizes are often given in seconds
# and rounded to frames. avsed refuses even sizes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6

cat > "$folder/median.py" <<'PYTHON'
import sys

import numpy as np
from scipy.ndimage import median_filter

decisions = np.zeros(30)
decisions[12:16] = 1
filtered = median_filter(decisions, size=6, mode="constant")
medians = np.median(np.lib.stride_tricks.sliding_window_view(decisions, 6), axis=1)
print(
    f"frames before: {int(decisions.sum())}, after: {int(filtered.sum())}; "
    f"medians of numpy of 1: {np.sum(medians == 1)}, of 0.5: {np.sum(medians == 0.5)}"
)
if filtered.sum() != 5:
    sys.exit("changed: the event of 4 frames had 5 before")
PYTHON
cd "$folder"
venv/bin/python median.py
