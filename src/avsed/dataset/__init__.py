"""What a data set is on disk (Section 4.1).

- The paper's: `annotations.py` has lists, classes and events; `clips.py` the table of clips.
- Media: `ffmpeg.py` runs ffmpeg, `header.py` reads the header of a file, `media.py` decodes its
  first 10 s, `inspection.py` probes a file and records what it has.
- Files: `shards.py` reads and writes HDF5 shards of features, `loading.py` the features of one
  list.
"""
