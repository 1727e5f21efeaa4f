#!/usr/bin/env bash
# Guess: `mir_eval.util.intervals_to_samples` of 0.6 s, sampled every 0.1 s, gives six labels: three of
# the first interval and three of the second.
#
# What happens: the number of samples is the floor of 0.6 / 0.1, which is 5.999... in floating point.
# The last label is missing; so it is for some other lengths.
#
# Seen with mir_eval 0.8.2, numpy 2.4.6:
#     0.6 s: 5 labels; lengths of 0.2 to 3.0 s in steps of 0.2 s that lack one:
#         0.6 1.2 1.4 2.4 2.8
#
# Why it matters here: the last frame of some clips would be compared with nothing. avsed counts
# frames in one place, and rounds before (avsed.framing).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mir_eval==0.8.2 numpy==2.4.6

cat > "$folder/samples.py" <<'PYTHON'
import sys

import numpy as np
from mir_eval.util import intervals_to_samples


def count(n_tenths):
    half, end = n_tenths / 20, n_tenths / 10
    intervals = np.array([[0.0, half], [half, end]])
    return len(intervals_to_samples(intervals, ["a", "b"], sample_size=0.1)[1])


lacking = [n_tenths for n_tenths in range(2, 31, 2) if count(n_tenths) < n_tenths]
print(
    f"0.6 s: {count(6)} labels; lengths of 0.2 to 3.0 s in steps of 0.2 s that lack one: "
    + " ".join(str(n_tenths / 10) for n_tenths in lacking)
)
if count(6) != 5:
    sys.exit("changed: 0.6 s had 5 labels before")
PYTHON
cd "$folder"
venv/bin/python samples.py
