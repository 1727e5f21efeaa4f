"""Audiovisual audio tagging and sound event detection (Boes and Van hamme, 2021).

The packages are the parts of the pipeline, in the order in which data flows:

- `dataset`: what a data set is on disk; `sources`: where it comes from (Section 4.1).
- `features`: from media to features (Section 4.2).
- `model`: the network (Sections 2.1 and 3); `training`: mean teacher (Sections 2.3 and 4.3.1).
- `evaluation`: from scores to metrics (Sections 2.2 and 4.3.2).
- `report`: the table (Section 5) and the results page.
- `prediction`: a trained model on any media; `export`: a trained model in other formats.
- `runtime`: machinery that changes no number.

`framing.py` is the time grid that all of them share (Section 4.2).
"""

__version__ = "0.1.0"
