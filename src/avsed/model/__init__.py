"""The network (Sections 2.1 and 3).

- The paper's: `crnn.py` has the whole network with a plain forward pass, and linear pooling.
- For speed: `dropout.py` draws fewer random numbers, `gru.py` has a faster backward pass,
  `together.py` runs the systems of several seeds at once.
- For files: `files.py` has model.json and weights, `score.py` runs students over the annotated
  clips, `scores.py` reads and writes their scores.
"""
