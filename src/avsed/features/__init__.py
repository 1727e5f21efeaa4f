"""From media to features (Section 4.2).

- The paper's: `spectral.py` (log-mel), `auditory.py` (VGGish), `visual.py` (VGG16).
- Further networks: `pretrained.py`, with EfficientNet in `efficientnet.py` as an example.
- Shared: `extractor.py` is what all of them return, `kinds.py` lists them.
- Files: `published.py` finds pretrained weights, `weights.py` loads them.
- For speed: the package `extraction`.
"""
