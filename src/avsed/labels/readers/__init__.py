"""Readers of labels, one module per family of formats; `labels/formats.py` lists them.

They are own code. The packages for these formats read the same labels from plain files, but raise
errors on valid ones (praatio: comments, Latin-1, tiers of one name), expand entities (pympi-ling),
or require pandas (crowsetta, jams).
"""
