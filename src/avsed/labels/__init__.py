"""Import labels in the formats of other programs and data sets, and cut long recordings to clips.

Start with `formats.py`, which lists the formats; every reader returns the recordings of
`recordings.py`. `lists.py` decides which list a recording goes to. No stage imports this package.
"""
