"""Detection without training: YAMNet's scores of AudioSet's classes (not in the paper).

- `classes.py` maps AudioSet's classes to those of a data set.
- `detector.py` turns YAMNet's scores into frame and clip scores.
- `score.py` scores validation and test clips, as a row of the table.
"""
