"""What the three kinds of features have in common: a front end, a network, and what made them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avsed.media import Image, Media, Stream


@dataclass(frozen=True, kw_only=True)
class ClipInputs:
    """One clip, ready for the network.

    Attributes:
        rows: (n, ...) what the network sees, each once.
        index: (m,) the row of each of the clip's first m frames; the frames after them are 0.
    """

    rows: Tensor
    index: NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """What a kind of features is.

    Attributes:
        kind: spectral, auditory or visual.
        stream: what it is made from.
        n_frames: frames of 10 s.
        dims: values of a frame.
        provenance: whatever decides the values: parameters and the hash of the weights.
    """

    kind: str
    stream: Stream
    n_frames: int
    dims: int
    provenance: Mapping[str, str | int | float]

    @property
    def bytes_per_clip(self) -> int:
        """Bytes of a clip's features in float16, before compression."""
        return 2 * self.n_frames * self.dims


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """A recipe that turns clips' media into features.

    Decoding and front end run beside the network, a clip at a time; the network runs on full
    batches, which may hold rows of several clips.

    Attributes:
        spec: what it makes.
        sample_rate: of the audio that it takes, in Hz; None if it takes pictures.
        each_image: the front end of a picture; None if it takes audio.
        prepare: decoded media and the clip's duration (seconds) to the network's inputs.
        embed: (batch_size, ...) rows to their features, (batch_size, dims).
        batch_size: rows.
    """

    spec: FeatureSpec
    sample_rate: int | None
    each_image: Callable[[Image], Tensor] | None
    prepare: Callable[[Media[Any], float], ClipInputs]
    embed: Callable[[Tensor], Tensor]
    batch_size: int
