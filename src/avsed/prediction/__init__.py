"""A trained model on any media (`avsed predict`); none of it is in the paper.

- `model.py` is the public interface for Python, `avsed.load_model`.
- `trained_model.py` loads a trained model, `predict.py` applies it to a file.
- `windows.py` decodes long files in windows, `extractors.py` sets up the features of a model.
- `run.py` is the command: it predicts several files; `files.py`, `plot.py` and `page.py` write
  what it found.
"""
