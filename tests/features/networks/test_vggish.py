"""VGGish's features of overlapping examples equal those of separate examples."""

import platform
from copy import deepcopy
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from avsed.features.networks.log_mel_examples import log_mel_examples
from avsed.features.networks.vggish import LOG_OFFSET, PUBLISHED, Vggish
from avsed.features.weights.load import load_weights
from avsed.runtime.device import choose_device, choose_dtype
from tests.conftest import features_of, read_audio
from tests.helpers.extractors import extractor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        platform.machine() not in ("x86_64", "AMD64") or choose_device().type != "cpu",
        reason="rounding of other devices may depend on the shapes of convolutions",
    ),
]


@pytest.fixture(scope="module")
def vggish() -> Vggish:
    network = Vggish("relu").eval()
    load_weights(network, "random", PUBLISHED)
    return network.to(memory_format=torch.channels_last)


# Elsewhere, bfloat16 is emulated, which takes minutes, and never chosen.
HAS_BFLOAT16 = choose_dtype(choose_device(), "auto") == torch.bfloat16
FAST_BFLOAT16 = pytest.mark.skipif(not HAS_BFLOAT16, reason="auto is float32 here")


@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.bfloat16, marks=FAST_BFLOAT16)]
)
@torch.inference_mode()
def test_overlapping_examples_are_embedded_as_alone_to_the_bit(
    dtype: torch.dtype, vggish: Vggish
) -> None:
    network = deepcopy(vggish).to(dtype)
    generator = torch.Generator().manual_seed(0)
    frames = (2.0 * torch.randn(996, 64, generator=generator) - 2.0).to(dtype)
    examples = torch.stack([frames[6 * k : 6 * k + 96] for k in range(151)])
    embeddings = network.embed_overlapping(frames)
    assert (embeddings.std(0) > 0).any()
    assert torch.equal(embeddings, network(examples))


@pytest.mark.parametrize("precision", [pytest.param("auto", marks=FAST_BFLOAT16), "float32"])
@torch.inference_mode()
def test_features_of_a_clip_are_those_of_its_examples_to_the_bit(
    precision: Literal["auto", "float32"], clip_path: Path, vggish: Vggish
) -> None:
    features = features_of(extractor("auditory", precision=precision), clip_path, 4.0)
    dtype = choose_dtype(choose_device(), precision)
    examples = log_mel_examples(read_audio(clip_path, 16_000), "paper", log_offset=LOG_OFFSET)
    expected = deepcopy(vggish).to(dtype)(torch.from_numpy(examples).to(dtype))
    assert (features.std(0) > 0).any()
    assert np.array_equal(features, expected.to(torch.float16).float().numpy())
