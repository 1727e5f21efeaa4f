"""A trained variant in formats that need neither avsed nor PyTorch (not in the paper).

- `onnx_file.py` writes a variant as one ONNX file: `graph.py` builds its `network.py` and
  `front_end.py` node by node, `metadata.py` describes it, and `check.py` compares its scores with
  PyTorch's.
- `page.py` writes a page that runs such a file in a browser, by the copy of onnxruntime-web that
  `npm_package.py` downloads. Of its scripts, `sound.js` decodes a recording, `detector.js` finds
  its events, and `page.js` shows them.
"""
