"""The network (Sections 2.1 and 3).

- The paper's: `crnn.py` has the network with a plain forward pass, and linear softmax pooling.
- For speed: `dropout.py` draws fewer random numbers, `gru.py` has a faster backward pass,
  `together.py` computes the forward pass of several seeds at once.
- The stage: `score.py` runs students on the annotated clips.
- For files: `files.py` has model.json and weights; `scores.py` has the scores.
"""
