"""A trained model on any media (`avsed predict`); none of it is in the paper.

- `predict.py` loads a model and scores a file: `load_model` and `predict`.
- `windows.py` decodes long files in windows, `extractors.py` sets up the features of a model.
- `run.py` is the command: it predicts several files; `files.py`, `plot.py` and `page.py` write
  what it found.
"""
