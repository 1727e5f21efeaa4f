"""Turn clips into features: decoding beside the networks, batches across clips (Section 4.2)."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avsed.dataset.clips import ClipRecord
from avsed.dataset.media import Image, read_media
from avsed.errors import AvsedError
from avsed.features.extractor import ClipInputs, Extractor, join_front_ends, prepare_each
from avsed.runtime.limits import count_cores

AHEAD = 2  # clips a decoder that wait for the network, at most


@dataclass(frozen=True, kw_only=True)
class ExtractedFeatures:
    """Features of one kind.

    Attributes:
        features: clip to (n_frames, dims) float16, in the order of the clips.
        left_out: clips whose media could not be read, and why.
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

    Each batch holds the same number of rows, so that a clip's features do not depend on which
    clips it is computed with.

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
    """Nobody waits for the clip any more."""


def decode_clip(
    extractors: Mapping[str, Extractor],
    path: Path,
    duration: float,
    *,
    stopped: threading.Event | None = None,
) -> dict[str, ClipInputs | str]:
    """Decode a clip's media in one pass, and make the networks' inputs.

    Args:
        extractors: of the kinds that are wanted of it.
        path: its media file.
        duration: seconds.
        stopped: ends the decoding at its next picture when set.

    Returns:
        Kind to inputs, or to the reason why there are none.

    Raises:
        AvsedError: if there is no such file, or ffmpeg was killed.
        OSError: if a disk is full.
    """
    if not path.is_file():
        raise AvsedError(f"{path}: is gone since the clips were collected; run `dvc repro collect`")

    front_end = join_front_ends(extractors)

    def each_image(image: Image) -> dict[str, Tensor]:
        if stopped and stopped.is_set():
            raise _StoppedError
        return front_end(image) if front_end else {}

    rates = {extractor.sample_rate for extractor in extractors.values()}
    media = read_media(
        path,
        sample_rates=sorted(rate for rate in rates if rate),
        each_image=each_image if front_end else None,
    )
    return prepare_each(extractors, media, duration)


def _decode_ahead(
    decode: Callable[[str], dict[str, ClipInputs | str]],
    clip_ids: Iterable[str],
    stopped: threading.Event,
) -> Generator[dict[str, ClipInputs | str]]:
    """Decode in threads, while the caller computes; yields in the order of the clips."""
    # Threads are enough: ffmpeg is a process of its own, and torch's front ends hold no lock. One
    # core each, or they would stand in each other's way and in the network's.
    torch.get_num_threads()  # or the decoders' setting would become that of the network
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
    """Collects rows of clips, runs the network on full batches, and hands the results back."""

    def __init__(self, extractor: Extractor, features: dict[str, NDArray[np.float16]]) -> None:
        self.extractor = extractor
        self.features = features
        self.rows: list[Tensor] = []  # that wait for the network
        self.n_rows = 0
        self.outputs: list[NDArray[np.float16]] = []  # that wait for their clip
        self.clips: deque[tuple[str, ClipInputs]] = deque()

    def add(self, clip_id: str, inputs: ClipInputs) -> None:
        """Take a clip, and compute as many batches as are full."""
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
        """Compute what is left, in a batch filled up by zeros."""
        if self.n_rows:
            rest = torch.cat(self.rows)
            padding = rest.new_zeros(self.extractor.batch_size - len(rest), *rest.shape[1:])
            self._embed(torch.cat([rest, padding]), len(rest))
            self._hand_back()

    def _embed(self, batch: Tensor, n_rows: int | None = None) -> None:
        embedded = self.extractor.embed(batch)[:n_rows]
        # Values beyond float16 become infinite, which the shard's writer refuses.
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
            features[: len(inputs.index)] = own[inputs.index]
            self.features[clip_id] = features
        self.outputs = [outputs[start:]]
