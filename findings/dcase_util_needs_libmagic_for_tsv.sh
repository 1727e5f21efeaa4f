#!/usr/bin/env bash
# Guess: sed_eval and dcase_util read a list of events with the extension .tsv, which DCASE's own
# lists have, wherever the packages are installed.
#
# What happens: dcase_util knows .txt, .csv and .ann by name, and not .tsv. It then asks libmagic, a
# library of the system that no Python package installs, for the content, and is told "ASCII text".
# Where libmagic is missing, as on a slim image, the same list raises OSError.
#
# Seen with sed_eval 0.2.1, dcase_util 0.2.20:
#     without libmagic: events.csv: 1 event, events.tsv: OSError
#     with libmagic:    events.csv: 1 event, events.tsv: 1 event
# (the second line only where the system has libmagic)
#
# Why it matters here: `avsed predict --out` writes events.tsv, and programs that score it with
# sed_eval work on one machine and fail on the next. docs/predict.md says to name a copy .csv.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" setuptools==80.9.0 wheel==0.45.1 numpy==2.4.6
"${pip[@]}" --no-build-isolation sed_eval==0.2.1 dcase_util==0.2.20 python-magic==0.4.27

cat > "$folder/load.py" <<'PYTHON'
import logging
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
import sed_eval

logging.disable()


def load(name):
    path = Path(name)
    path.write_text("filename\tonset\toffset\tevent_label\na.wav\t0.500\t1.500\tDog\n")
    try:
        n_events = len(sed_eval.io.load_event_list(name))
    except OSError as error:
        return type(error).__name__
    return f"{n_events} event"


try:
    import magic  # raises ImportError where libmagic is missing
except ImportError:
    print("with libmagic:    the system has none")
else:
    there = [load("events.csv"), load("events.tsv")]
    print(f"with libmagic:    events.csv: {there[0]}, events.tsv: {there[1]}")
    if there != ["1 event", "1 event"]:
        sys.exit("changed: with libmagic, both lists were read")
sys.modules["magic"] = None  # as on a system without libmagic
missing = [load("events.csv"), load("events.tsv")]
print(f"without libmagic: events.csv: {missing[0]}, events.tsv: {missing[1]}")
if missing != ["1 event", "OSError"]:
    sys.exit("changed: without libmagic, only .csv was read")
PYTHON
cd "$folder"
venv/bin/python load.py
