#!/usr/bin/env bash
# Guess: a virtual data set of HDF5, which joins shards into one array, cannot be read where the file
# of a shard is missing; HDF5 raises an error as it does for a missing external link.
#
# What happens: the rows of the missing file are the fill value, 0, without an error or a warning. The
# same happens if the file exists but has no data set of that name.
#
# Seen with h5py 3.16.0, numpy 2.4.6, three shards of two rows that contain 1, 2 and 3:
#     all shards: [1, 1, 2, 2, 3, 3]
#     the second one missing: [1, 1, 0, 0, 3, 3], no error
#
# Why it matters here: shards that were not pulled, or that another machine has yet to write, would
# train a network on silence. avsed joins no files: it looks clips up in the shards that there are, and
# refuses to go on if a clip of a list is in none of them.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check h5py==3.16.0 numpy==2.4.6

cat > "$folder/shards.py" <<'PYTHON'
import os
import sys

import h5py
import numpy as np

layout = h5py.VirtualLayout(shape=(6,), dtype="f4")
for number in range(3):
    with h5py.File(f"shard-{number}.h5", "w") as shard:
        shard["features"] = np.full(2, number + 1, "f4")
    source = h5py.VirtualSource(f"shard-{number}.h5", "features", shape=(2,))
    layout[2 * number : 2 * number + 2] = source
with h5py.File("all.h5", "w") as joined:
    joined.create_virtual_dataset("features", layout)


def rows():
    with h5py.File("all.h5") as joined:
        return joined["features"][:].astype(int).tolist()


print("all shards:", rows())
os.remove("shard-1.h5")
try:
    found = rows()
    print(f"the second one missing: {found}, no error")
except OSError as error:
    sys.exit(f"changed: reading raises ({error})")
if found != [1, 1, 0, 0, 3, 3]:
    sys.exit("changed: missing rows were 0 before")
PYTHON
cd "$folder"
venv/bin/python shards.py
