"""Pretrained networks, one file each, with the front end that the network was trained with.

- The paper's (Section 4.2): `vggish.py` and `vgg16.py`.
- The demo's, whose weights are on the Python package index: `yamnet.py` and
  `efficientnet_lite0.py`.
- An example of a further network: `efficientnet_b0.py`.
- Shared: `log_mel_examples.py` is the front end of VGGish and YAMNet.
"""
