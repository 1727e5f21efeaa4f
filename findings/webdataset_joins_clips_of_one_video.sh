#!/usr/bin/env bash
# Guess: files of a shard belong to one sample of webdataset if their names are equal up to the
# extension, as in `os.path.splitext`.
#
# What happens: a name ends at its first dot. Names of clips as AudioSet and DCASE use them contain
# times with dots, so that all clips of a video that start in the same second are one sample, whose
# key lacks the rest of the name, and whose fields are called "000_40.000.wav".
#
# Seen with webdataset 1.0.2, for Yabc_30.000_40.000.wav, its .txt, and Yabc_30.000_35.000.wav:
#     1 sample: Yabc_30 with 000_35.000.wav, 000_40.000.txt, 000_40.000.wav
#
# Why it matters here: clips are lost to each other, and a look-up of "wav" finds nothing. avsed takes
# only extensions of media off a name.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check webdataset==1.0.2

cat > "$folder/names.py" <<'PYTHON'
import io
import sys
import tarfile

import webdataset

with tarfile.open("shard.tar", "w") as shard:
    for name in ("Yabc_30.000_40.000.wav", "Yabc_30.000_40.000.txt", "Yabc_30.000_35.000.wav"):
        member = tarfile.TarInfo(name)
        member.size = 1
        shard.addfile(member, io.BytesIO(b"1"))

samples = list(webdataset.WebDataset("shard.tar", shardshuffle=False))
for sample in samples:
    fields = sorted(field for field in sample if not field.startswith("__"))
    print(f"{len(samples)} sample: {sample['__key__']} with {', '.join(fields)}")
if len(samples) != 1:
    sys.exit("changed: the two clips were one sample before")
PYTHON
cd "$folder"
venv/bin/python names.py
