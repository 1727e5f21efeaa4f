"""Extractors of pretrained networks: one function for networks of images, one for sound.

docs/features.md describes how to add a network that is not the paper's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from avsed.dataset.media import Image, Media
from avsed.features.extractor import ClipInputs, Extractor, FeatureSpec, hold_images
from avsed.features.weights.load import Published, load_weights
from avsed.framing import CLIP_DURATION, FRAME_HOP, N_FRAMES, n_samples
from avsed.params import ExtraNetworks, Visual
from avsed.runtime.device import choose_device, choose_dtype

BATCH_SIZES = {"cpu": 16, "cuda": 128}  # images or windows; more does not speed up a CPU

Provenance = Mapping[str, str | int | float]


def image_extractor(
    kind: str,
    params: ExtraNetworks | Visual,
    *,
    network: nn.Module,
    published: Published,
    preprocess: Callable[[Tensor], Tensor],
    embed: Callable[[Tensor], Tensor],
    dims: int,
    settings: Provenance,
    autocast: bool = True,
) -> Extractor:
    """Return the extractor of a network of images; a frame gets the image nearest to its onset.

    Args:
        kind: starts with visual.
        params: weights and precision.
        network: has all layers of the published state dict; changed in place.
        published: the state dict.
        preprocess: (3, height, width) uint8 RGB to an input of one size for all images.
        embed: (batch_size, ...) inputs to features, (batch_size, dims), by the network.
        dims: values of a frame.
        settings: the part of the provenance that names the network and what its features depend
            on, apart from weights and precision.
        autocast: whether layers that need float32, such as normalization, keep it; False casts
            the whole network, which saves the casts of each batch.

    Raises:
        AvsedError: if the weights are not found, or do not fit the network.
    """
    loaded = _load(network, params, published, settings)
    network.to(loaded.device).eval()
    if not autocast:
        network.to(loaded.dtype).to(memory_format=torch.channels_last)

    def each_image(image: Image) -> Tensor:
        inputs = preprocess(torch.from_numpy(image).permute(2, 0, 1))
        return inputs if autocast else inputs.to(loaded.dtype)

    def embed_images(images: Tensor) -> Tensor:
        return embed(images if autocast else images.to(memory_format=torch.channels_last))

    return Extractor(
        spec=FeatureSpec(
            kind=kind, stream="video", n_frames=N_FRAMES, dims=dims, provenance=loaded.provenance
        ),
        sample_rate=None,
        each_image=each_image,
        prepare=hold_images,
        embed=loaded.on_device(embed_images, autocast=autocast),
        batch_size=BATCH_SIZES[loaded.device.type],
    )


def sound_extractor(
    kind: str,
    params: ExtraNetworks,
    *,
    network: nn.Module,
    published: Published,
    sample_rate: int,
    window: float,
    embed: Callable[[Tensor], Tensor],
    dims: int,
    settings: Provenance,
) -> Extractor:
    """Return the extractor of a network of sound; a frame gets the window centered on its onset.

    Args:
        kind: starts with auditory.
        params: weights and precision.
        network: has all layers of the published state dict; changed in place.
        published: the state dict.
        sample_rate: of the network's input, in Hz.
        window: length of an input in seconds.
        embed: (batch_size, n_samples) float32 in [-1, 1], zero outside of the clip, to features,
            (batch_size, dims), by the network.
        dims: values of a frame.
        settings: as of `image_extractor`.

    Raises:
        AvsedError: if the weights are not found, or do not fit the network.
    """
    loaded = _load(network, params, published, settings)
    network.to(loaded.device).eval()
    length = n_samples(window, sample_rate)
    starts = np.rint(np.arange(N_FRAMES) * FRAME_HOP * sample_rate).astype(int)

    def prepare(media: Media[object], _: float) -> ClipInputs:
        waveform = media.waveforms[sample_rate]
        padded = np.zeros(n_samples(CLIP_DURATION, sample_rate) + 2 * length, np.float32)
        padded[length // 2 : length // 2 + len(waveform)] = waveform
        windows = np.lib.stride_tricks.sliding_window_view(padded, length)[starts]
        return ClipInputs(rows=torch.from_numpy(windows), index=np.arange(N_FRAMES))

    return Extractor(
        spec=FeatureSpec(
            kind=kind, stream="audio", n_frames=N_FRAMES, dims=dims, provenance=loaded.provenance
        ),
        sample_rate=sample_rate,
        each_image=None,
        prepare=prepare,
        embed=loaded.on_device(embed, autocast=True),
        batch_size=BATCH_SIZES[loaded.device.type],
    )


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """Where and in which precision a network runs, and the provenance of its features."""

    device: torch.device
    dtype: torch.dtype
    provenance: Provenance

    def on_device(
        self, embed: Callable[[Tensor], Tensor], *, autocast: bool
    ) -> Callable[[Tensor], Tensor]:
        """Return `embed` for inputs on the CPU."""
        enabled = autocast and self.dtype != torch.float32

        @torch.inference_mode()
        def embed_rows(rows: Tensor) -> Tensor:
            with torch.autocast(self.device.type, self.dtype, enabled=enabled):
                return embed(rows.to(self.device))

        return embed_rows


def _load(
    network: nn.Module,
    params: ExtraNetworks | Visual,
    published: Published,
    settings: Provenance,
) -> _Loaded:
    """Load a network's weights, and choose its device and precision."""
    loaded = load_weights(network, params.weights, published)
    device = choose_device()
    dtype = choose_dtype(device, params.precision)
    # Shards store the provenance in this order.
    provenance = {
        **settings,
        "dtype": str(dtype),
        **loaded,
    }
    return _Loaded(device=device, dtype=dtype, provenance=provenance)
