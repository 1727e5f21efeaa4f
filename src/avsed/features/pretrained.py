"""Kinds of features that are not the paper's: a pretrained network with a name and dims each.

docs/features.md says how to add one.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from avsed.dataset.media import Image, Media
from avsed.features.extractor import ClipInputs, Extractor, FeatureSpec, hold_images
from avsed.features.published import PublishedWeights
from avsed.features.weights import load_weights
from avsed.framing import CLIP_DURATION, FRAME_HOP, N_FRAMES, n_samples
from avsed.params import ExtraNetworks
from avsed.runtime.device import choose_device, choose_dtype

BATCH_SIZES = {"cpu": 32, "cuda": 128}  # pictures or windows


class AddedNetwork(ABC):
    """A pretrained network whose outputs are features; write one of the two subclasses below.

    Attributes:
        name: becomes the second part of the kind's, such as visual_efficientnet.
        dims: values of a frame.
        published: a state dict of the network.
        family: auditory or visual.
        network: as it comes, with all layers that the state dict has.
    """

    name: ClassVar[str]
    dims: ClassVar[int]
    published: ClassVar[PublishedWeights]
    family: ClassVar[Literal["auditory", "visual"]]
    network: Any  # nn.Module, whose layers mypy does not know

    @abstractmethod
    def extract(self, inputs: Tensor) -> Tensor:
        """Turn a batch of inputs, (batch_size, ...), into features, (batch_size, dims)."""

    @abstractmethod
    def _front_end(self) -> dict[str, Any]:
        """Give the fields of the extractor that lie before the network."""

    @classmethod
    def make_extractor(cls, params: ExtraNetworks) -> Extractor:
        """Set up the network with its weights.

        Raises:
            AvsedError: if the weights cannot be had.
        """
        device = choose_device()
        added = cls()
        sha256 = load_weights(added.network, params.weights, cls.published)
        added.network = added.network.to(device).eval()
        dtype = choose_dtype(device, params.precision)

        @torch.inference_mode()
        def embed(rows: Tensor) -> Tensor:
            # Autocast leaves in float32 what needs it, such as normalisation.
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                return added.extract(rows.to(device))

        return Extractor(
            spec=FeatureSpec(
                kind=f"{cls.family}_{cls.name}",
                stream="video" if cls.family == "visual" else "audio",
                n_frames=N_FRAMES,
                dims=cls.dims,
                provenance={
                    "extractor": cls.name,
                    "dtype": str(dtype),
                    "weights": params.weights,
                    "weights_sha256": sha256,
                },
            ),
            embed=embed,
            batch_size=BATCH_SIZES[device.type],
            **added._front_end(),
        )


class PictureNetwork(AddedNetwork):
    """A network of pictures: each frame has the features of the picture nearest to its onset.

    Attributes:
        preprocess: a picture, (3, height, width) uint8 RGB, to an input of the network's size.
    """

    family = "visual"
    preprocess: nn.Module

    def _front_end(self) -> dict[str, Any]:
        def each_image(image: Image) -> Tensor:
            preprocessed: Tensor = self.preprocess(torch.from_numpy(image).permute(2, 0, 1))
            return preprocessed

        return {"sample_rate": None, "each_image": each_image, "prepare": hold_images}


class SoundNetwork(AddedNetwork):
    """A network of sound: each frame has the features of the window whose middle is its onset.

    Its inputs are (batch_size, n_samples) float32, silent beyond the clip; full scale is 1.

    Attributes:
        sample_rate: that it takes, in Hz.
        window: seconds.
    """

    family = "auditory"
    sample_rate: ClassVar[int]
    window: ClassVar[float]

    def _front_end(self) -> dict[str, Any]:
        length = n_samples(self.window, self.sample_rate)
        starts = np.rint(np.arange(N_FRAMES) * FRAME_HOP * self.sample_rate).astype(int)

        def prepare(media: Media[object], _: float) -> ClipInputs:
            waveform = media.waveforms[self.sample_rate]
            padded = np.zeros(n_samples(CLIP_DURATION, self.sample_rate) + 2 * length, np.float32)
            padded[length // 2 : length // 2 + len(waveform)] = waveform
            windows = np.lib.stride_tricks.sliding_window_view(padded, length)[starts]
            return ClipInputs(rows=torch.from_numpy(windows), index=np.arange(N_FRAMES))

        return {"sample_rate": self.sample_rate, "each_image": None, "prepare": prepare}
