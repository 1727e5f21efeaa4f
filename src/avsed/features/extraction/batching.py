"""Decode clips in parallel with the networks, and run these on batches across clips."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from avsed.dataset.clips import ClipRecord
from avsed.dataset.media import Image, Media, read_media
from avsed.errors import AvsedError
from avsed.features.extractor import ClipInputs, Extractor
from avsed.runtime.device import keep_freed_memory
from avsed.runtime.limits import count_cores

AHEAD = 2  # decoded clips per decoder that wait for the network, at most


@dataclass(frozen=True, kw_only=True)
class ExtractedFeatures:
    """Features of one kind.

    Attributes:
        features: clip to (n_frames, dims) float16, in the order of the clips.
        left_out: clips whose media could not be read, and the reasons.
    """

    features: dict[str, NDArray[np.float16]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def embed_clips(
    extractors: Mapping[str, Extractor],
    wanted: Mapping[str, Sequence[ClipRecord]],
    *,
    clips_dir: Path,
    on_clip: Callable[[], object],
) -> dict[str, ExtractedFeatures]:
    """Compute the features of clips; each file is read once.

    All batches have the same number of rows, so that a clip's features do not depend on the clips
    it is computed with.

    Args:
        extractors: kind to extractor.
        wanted: kind to the clips that have its stream.
        clips_dir: the folder of their media.
        on_clip: called after each clip.

    Returns:
        Kind to features.

    Raises:
        AvsedError: if ffmpeg was killed.
        OSError: if a disk is full.
    """
    keep_freed_memory()
    records = {record.clip_id: record for clips in wanted.values() for record in clips}
    kinds_of: dict[str, list[str]] = {clip_id: [] for clip_id in records}
    for kind, clips in wanted.items():
        for record in clips:
            kinds_of[record.clip_id].append(kind)

    stopped = threading.Event()

    def decode(clip_id: str) -> dict[str, ClipInputs | str]:
        asked = {kind: extractors[kind] for kind in kinds_of[clip_id]}
        path = clips_dir / records[clip_id].file
        return decode_clip(asked, path, records[clip_id].duration, stopped=stopped)

    found = {kind: ExtractedFeatures() for kind in wanted}
    batchers = {kind: Batcher(extractors[kind], found[kind].features) for kind in wanted}
    clip_ids = sorted(records)
    with closing(_decode_ahead(decode, clip_ids, stopped)) as stream:
        for clip_id, decoded in zip(clip_ids, stream, strict=True):
            for kind, inputs in decoded.items():
                if isinstance(inputs, str):
                    found[kind].left_out[clip_id] = inputs
                else:
                    batchers[kind].add(clip_id, inputs)
            on_clip()
    for batcher in batchers.values():
        batcher.finish()
    return found


class _StoppedError(Exception):
    """Decoding was cancelled."""


def decode_clip(
    extractors: Mapping[str, Extractor],
    path: Path,
    duration: float,
    *,
    stopped: threading.Event | None = None,
) -> dict[str, ClipInputs | str]:
    """Decode a clip's media in one pass, and compute the networks' inputs.

    Args:
        extractors: kind to extractor.
        path: its media file.
        duration: seconds.
        stopped: cancels the decoding at the next image when set.

    Returns:
        Kind to inputs, or to the reason why there are none.

    Raises:
        AvsedError: if there is no such file, or ffmpeg was killed.
        OSError: if a disk is full.
    """
    if not path.is_file():
        raise AvsedError(f"{path}: not found, but was collected; run `dvc repro collect`")
    group = ExtractorGroup(extractors)
    front_end = group.image_front_end

    def each_image(image: Image) -> dict[str, Tensor]:
        if stopped and stopped.is_set():
            raise _StoppedError
        return front_end(image) if front_end else {}

    media = read_media(
        path, sample_rates=group.sample_rates, each_image=each_image if front_end else None
    )
    return group.prepare(media, duration)


def _decode_ahead(
    decode: Callable[[str], dict[str, ClipInputs | str]],
    clip_ids: Iterable[str],
    stopped: threading.Event,
) -> Generator[dict[str, ClipInputs | str]]:
    """Decode in threads while the caller computes; yield in the order of the clips."""
    # Threads suffice: ffmpeg is its own process, and torch's front ends release the GIL. Each uses
    # one core, so that they slow down neither each other nor the network.
    torch.get_num_threads()  # or the decoders' setting would also apply to the network
    n_decoders = count_cores()
    pool = ThreadPoolExecutor(n_decoders, initializer=torch.set_num_threads, initargs=(1,))
    waiting: deque[Any] = deque()
    try:
        for clip_id in clip_ids:
            waiting.append(pool.submit(decode, clip_id))
            if len(waiting) > AHEAD * n_decoders:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


class Batcher:
    """Collect rows of clips, run the network on full batches, and assign its outputs to clips."""

    def __init__(self, extractor: Extractor, features: dict[str, NDArray[np.float16]]) -> None:
        self.extractor = extractor
        self.features = features
        self.rows: list[Tensor] = []  # waiting for the network
        self.n_rows = 0
        self.outputs: list[NDArray[np.float16]] = []  # whose clip is incomplete
        self.clips: deque[tuple[str, ClipInputs]] = deque()

    def add(self, clip_id: str, inputs: ClipInputs) -> None:
        """Add a clip, and compute all batches that are full."""
        self.rows.append(inputs.rows)
        self.n_rows += len(inputs.rows)
        self.clips.append((clip_id, inputs))
        size = self.extractor.batch_size
        if self.n_rows >= size:
            *full, rest = torch.split(torch.cat(self.rows), size)
            if len(rest) == size:
                full, rest = [*full, rest], rest[:0]
            for batch in full:
                self._embed(batch)
            self.rows, self.n_rows = [rest], len(rest)
            self._hand_back()

    def finish(self) -> None:
        """Compute the remaining rows in a batch padded with zeros."""
        if self.n_rows:
            rest = torch.cat(self.rows)
            padding = rest.new_zeros(self.extractor.batch_size - len(rest), *rest.shape[1:])
            self._embed(torch.cat([rest, padding]), len(rest))
            self._hand_back()

    def _embed(self, batch: Tensor, n_rows: int | None = None) -> None:
        embedded = self.extractor.embed(batch)[:n_rows]
        # Values beyond float16 become infinite; the writer of the shard rejects them.
        self.outputs.append(embedded.to(torch.float16).cpu().numpy())

    def _hand_back(self) -> None:
        outputs = np.concatenate(self.outputs)
        start = 0
        while self.clips and start + len(self.clips[0][1].rows) <= len(outputs):
            clip_id, inputs = self.clips.popleft()
            own = outputs[start : start + len(inputs.rows)]
            start += len(own)
            spec = self.extractor.spec
            features = np.zeros((spec.n_frames, spec.dims), dtype=np.float16)
            features[: len(inputs.index)] = own.reshape(-1, spec.dims)[inputs.index]
            self.features[clip_id] = features
        self.outputs = [outputs[start:]]


@cache
def _use_one_blas_thread() -> None:
    """Let NumPy's matrix products use one thread, for the rest of the process.

    The products with the mel filters (librosa 0.11.0 and NumPy 2.4) are summed in another order for
    another number of threads, which changes the last bit of features.
    """
    threadpool_limits(limits=1, user_api="blas")


@dataclass(frozen=True)
class ExtractorGroup:
    """Several extractors that share one pass over the media.

    Attributes:
        extractors: kind to extractor.
    """

    extractors: Mapping[str, Extractor]

    @property
    def sample_rates(self) -> list[int]:
        """The sample rates to decode the audio at, in Hz."""
        rates = {extractor.sample_rate for extractor in self.extractors.values()}
        return sorted(rate for rate in rates if rate)

    @property
    def image_front_end(self) -> Callable[[Image], dict[str, Tensor]] | None:
        """The front ends of all kinds that use images; None if there are none."""
        front_ends = {kind: one.each_image for kind, one in self.extractors.items()}
        used = {kind: front_end for kind, front_end in front_ends.items() if front_end}
        if not used:
            return None
        return lambda image: {kind: front_end(image) for kind, front_end in used.items()}

    def prepare(
        self, media: Media[dict[str, Tensor]], duration: float
    ) -> dict[str, ClipInputs | str]:
        """Compute the networks' inputs of one clip or window.

        Args:
            media: decoded at `sample_rates` and with `image_front_end`.
            duration: seconds.

        Returns:
            Kind to inputs, or to the reason why there are none.
        """
        _use_one_blas_thread()
        prepared: dict[str, ClipInputs | str] = {}
        for kind, extractor in self.extractors.items():
            if extractor.spec.stream in media.errors:
                prepared[kind] = media.errors[extractor.spec.stream]
                continue
            own: Media[Any] = media
            if extractor.each_image:
                own = replace(own, images=[image[kind] for image in media.images])
            prepared[kind] = extractor.prepare(own, duration)
        return prepared

    def embed(self, inputs: Sequence[Mapping[str, ClipInputs]]) -> dict[str, NDArray[np.float16]]:
        """Compute the features of clips or windows, in the same batches for any number of them.

        Args:
            inputs: of each clip, kind to inputs.

        Returns:
            Kind to (n, n_frames, dims).
        """
        embedded = {}
        for kind, extractor in self.extractors.items():
            features: dict[str, NDArray[np.float16]] = {}
            batcher = Batcher(extractor, features)
            for number, of_clip in enumerate(inputs):
                batcher.add(str(number), of_clip[kind])
            batcher.finish()
            embedded[kind] = np.stack([features[str(number)] for number in range(len(inputs))])
        return embedded
