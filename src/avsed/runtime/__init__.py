"""Machinery that changes no number: it knows no clips, frames or classes.

Exempt from DVC's dependencies and from the keys of the store (`store.is_exempt`), so an edit here
computes nothing again. The exception in spirit is `device.py`, which chooses the precision: the
precision itself is part of every key.

- Processes: `process.py` runs a stage or a command, `interrupts.py` handles Ctrl-C.
- Files: `files.py` writes them atomically and with checksums, `store.py` keeps unfinished work,
  `last_commit.py` reads committed outputs back, `figure_file.py` saves figures.
- Machines: `limits.py` counts cores and memory, `device.py` chooses the device, `cluster.py`
  connects to Dask.
"""
