"""The demo data set: clips synthesized from a seed, so that nothing needs to be downloaded.

- `scenes.py` plans the clips, `sounds.py` and `images.py` synthesize them, `render.py` encodes
  them as mp4 files.
"""
