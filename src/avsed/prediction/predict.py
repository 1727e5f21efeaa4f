"""Predict the tags and events of media files of any length.

A file is scored in windows of 10 s, the length that models are trained on. Where windows overlap,
their frame scores fade from one to the next; of a class's clip scores, the largest of all windows
counts. A file of 10 s or less is scored as the pipeline scores clips, to the bit.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from avsed.dataset.ffmpeg import DecodeError
from avsed.dataset.inspection import Streams, probe_and_decode
from avsed.dataset.loading import ClipFeatures
from avsed.dataset.media import TOLERANCE, Media
from avsed.errors import AvsedError
from avsed.evaluation.postprocess import DetectedEvent, decide_tags, detect_events
from avsed.features.extraction.batching import ExtractorGroup
from avsed.features.extractor import ClipInputs, Extractor
from avsed.framing import CLIP_DURATION, FRAME_HOP, N_FRAMES, frame_onset, valid_frames
from avsed.model.decisions import Decisions
from avsed.model.scores import Scores
from avsed.prediction.media_files import MediaFile
from avsed.prediction.windows import WINDOW_HOP, Window, read_windows

WINDOWS_AT_ONCE = 4  # that are held in memory
OVERLAP = N_FRAMES - WINDOW_HOP  # frames


class Detector(Protocol):
    """What scores media: a trained model, or YAMNet alone."""

    @property
    def classes(self) -> tuple[str, ...]:
        """K labels."""

    @property
    def extractors(self) -> Mapping[str, Extractor]:
        """Kind to extractor of its features."""

    @property
    def decisions(self) -> Decisions:
        """Thresholds and filters."""

    @property
    def warnings(self) -> list[str]:
        """What to know about its scores."""

    @property
    def settings(self) -> str:
        """Hash of everything beside a file that its prediction depends on."""

    def score(self, clips: ClipFeatures) -> Scores:
        """Score n clips or windows."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The scores, tags and events of a media file.

    Attributes:
        path: the file.
        folder: the folder that was named, if the file was found in it.
        has_audio: whether its audio can be decoded, used by the model or not.
        has_video: likewise its images.
        duration: seconds that were scored.
        classes: K labels.
        frame_scores: (T, K) in [0, 1]; frame k as in `framing`, T of them in the duration.
        clip_scores: (K,) in [0, 1]; of a file longer than a clip, the largest of its windows'.
        tags: the classes that it contains.
        events: by onset, then label.
        warning: what is wrong with the file; else empty.
    """

    path: Path
    has_audio: bool
    has_video: bool
    duration: float
    classes: tuple[str, ...]
    frame_scores: NDArray[np.float32]
    clip_scores: NDArray[np.float32]
    tags: tuple[str, ...]
    events: tuple[DetectedEvent, ...]
    warning: str
    folder: Path | None = None

    @property
    def name(self) -> str:
        """The file's name in results."""
        return MediaFile(path=self.path, folder=self.folder).name

    @property
    def frame_onsets(self) -> NDArray[np.float64]:
        """(T,) seconds at which the frames begin; they are 66.24 ms long."""
        return np.arange(len(self.frame_scores), dtype=np.float64) * FRAME_HOP

    def highest_scores(self, n_points: int) -> NDArray[np.float32]:
        """Reduce the frame scores for drawing, without losing short peaks.

        Returns:
            (n, K), the highest scores of n equal parts of the file; at most `n_points` parts.
        """
        starts = np.linspace(0, len(self.frame_scores), n_points, endpoint=False).astype(int)
        highest: NDArray[np.float32] = np.maximum.reduceat(self.frame_scores, np.unique(starts))
        return highest


@dataclass(frozen=True, kw_only=True)
class WindowInputs:
    """The networks' inputs of a window, by kind, and the warning about the file so far."""

    first_frame: int
    duration: float
    inputs: Mapping[str, ClipInputs]
    warning: str


@dataclass(frozen=True, kw_only=True)
class WindowScores:
    """Scores of one window: (n, K) of its n frames, (K,) of the whole."""

    first_frame: int
    duration: float
    frame_scores: NDArray[np.float32]
    clip_scores: NDArray[np.float32]
    warning: str


def predict(
    model: Detector, path: Path, *, folder: Path | None = None, shows_progress: bool = True
) -> Prediction:
    """Find the tags and events of a media file.

    Args:
        model: ready to score.
        path: media of any length, in any container that ffmpeg reads.
        folder: the folder that was named, if the file was found in it.
        shows_progress: whether to show a progress bar on a terminal.

    Raises:
        AvsedError: if it is no media file, lacks a stream that the model needs, or its scores are
            NaN or infinite.
    """
    if not path.is_file():
        what = "is a folder; name the files in it" if path.is_dir() else "no such file"
        raise AvsedError(f"{path}: {what}")
    group = ExtractorGroup(model.extractors)
    try:
        # An absolute path: ffmpeg reads a name with a colon as a network address.
        streams, media = probe_and_decode(
            path.resolve(),
            sample_rates=group.sample_rates,
            each_image=group.image_front_end or (lambda image: {}),
        )
        _require_streams(model, path, streams)
        windows = tqdm(
            _make_inputs(group, path.resolve(), streams, media),
            desc=path.name,
            unit="window",
            leave=False,
            disable=None if shows_progress else True,  # None: disabled unless on a terminal
        )
        del media  # a long file is decoded by windows, and needs the memory
        scores = list(score_windows(model, windows))
    except DecodeError as error:
        raise AvsedError(f"{path}: cannot be decoded ({error}); convert or repair it") from None
    if not all(np.isfinite(window.frame_scores).all() for window in scores):
        raise AvsedError(f"{path}: its scores are NaN or infinite; train the model again")
    return replace(_decide(model, path, streams, scores), folder=folder)


def _decide(
    model: Detector, path: Path, streams: Streams, scores: Sequence[WindowScores]
) -> Prediction:
    """Join the scores of a file's windows, and decide on tags and events."""
    duration = max(frame_onset(window.first_frame) + window.duration for window in scores)
    frame_scores = join_windows([(window.first_frame, window.frame_scores) for window in scores])
    clip_scores = np.max([window.clip_scores for window in scores], axis=0)
    classes = model.classes
    of_tags, of_events = (
        np.array([thresholds[label] for label in classes])
        for thresholds in (model.decisions.tags, model.decisions.events)
    )
    return Prediction(
        path=path,
        has_audio=streams.has_audio,
        has_video=streams.has_video,
        duration=duration,
        classes=classes,
        frame_scores=frame_scores,
        clip_scores=clip_scores,
        tags=decide_tags(clip_scores, threshold=of_tags, classes=classes),
        events=detect_events(
            frame_scores,
            classes=classes,
            threshold=of_events,
            settings=model.decisions,
            n_valid=len(frame_scores),
            duration=duration,
        ),
        warning=scores[-1].warning,
    )


def _require_streams(model: Detector, path: Path, streams: Streams) -> None:
    """Reject a file without a stream that the model's features need."""
    for kind, extractor in model.extractors.items():
        stream = extractor.spec.stream
        if not (streams.has_audio if stream == "audio" else streams.has_video):
            why = f" ({streams.warning})" if streams.warning else ""
            raise AvsedError(
                f"{path}: has no {stream}{why}, but the model needs {kind} features; take a file "
                f"that has some, or a model without {kind}"
            )


def _make_inputs(
    group: ExtractorGroup, path: Path, streams: Streams, media: Media[dict[str, Tensor]]
) -> Iterator[WindowInputs]:
    """Prepare a file: as a clip, as the pipeline does, or window by window if it is longer."""
    # The probe decodes 10 s at most, of which streams may fall short by the tolerance although they
    # go on; a warning tells of an early end.
    if streams.duration < CLIP_DURATION - TOLERANCE and not streams.warning:
        yield _inputs_of_clip(group, streams, media)
        return
    windows: Generator[Window[dict[str, Tensor]]] = read_windows(
        path, sample_rates=group.sample_rates, each_image=group.image_front_end
    )
    with closing(windows):
        first_two = list(islice(windows, 2))
        if len(first_two) == 1:  # about 10 s; headers are not reliable enough
            yield _inputs_of_clip(group, streams, media)
            return
        del media
        for window in chain(first_two, windows):
            yield WindowInputs(
                first_frame=window.first_frame,
                duration=window.duration,
                inputs=require_all(group.prepare(window.media, window.duration)),
                warning=window.media.warning,
            )


def _inputs_of_clip(
    group: ExtractorGroup, streams: Streams, clip: Media[dict[str, Tensor]]
) -> WindowInputs:
    return WindowInputs(
        first_frame=0,
        duration=streams.duration,
        inputs=require_all(group.prepare(clip, streams.duration)),
        warning=streams.warning,
    )


def require_all(prepared: Mapping[str, ClipInputs | str]) -> dict[str, ClipInputs]:
    """Return the inputs of all kinds.

    Raises:
        DecodeError: if a kind has none, with the reason.
    """
    inputs = {}
    for kind, of_kind in prepared.items():
        if isinstance(of_kind, str):
            raise DecodeError(of_kind)
        inputs[kind] = of_kind
    return inputs


def score_windows(
    model: Detector, windows: Iterable[WindowInputs], *, at_once: int = WINDOWS_AT_ONCE
) -> Iterator[WindowScores]:
    """Score windows, a few at a time; the scores do not depend on how many."""
    waiting = iter(windows)
    while group := list(islice(waiting, at_once)):
        n_valid = torch.tensor([valid_frames(window.duration) for window in group])
        mask = torch.arange(N_FRAMES) < n_valid[:, None]
        features = ExtractorGroup(model.extractors).embed([window.inputs for window in group])
        clips = ClipFeatures(
            clip_ids=tuple(str(window.first_frame) for window in group),
            features={kind: torch.from_numpy(values) for kind, values in features.items()},
            mask=mask,
        )
        scores = model.score(clips)
        for row, window in enumerate(group):
            yield WindowScores(
                first_frame=window.first_frame,
                duration=window.duration,
                frame_scores=scores.frame_scores[row, : n_valid[row]],
                clip_scores=scores.clip_scores[row],
                warning=window.warning,
            )


def join_windows(windows: Sequence[tuple[int, NDArray[np.float32]]]) -> NDArray[np.float32]:
    """Join the frame scores of windows, which fade into each other where they overlap.

    Args:
        windows: first frame and (n, K) scores of each; no frame in no window.

    Returns:
        (T, K) scores of all frames; those of a frame in one window are that window's to the bit.
    """
    n_frames = max(first + len(scores) for first, scores in windows)
    total = np.zeros((n_frames, windows[0][1].shape[1]))
    weights = np.zeros((n_frames, 1))
    for first, scores in windows:
        from_edge = 1 + np.minimum(np.arange(len(scores)), np.arange(len(scores))[::-1])
        weight = np.minimum(from_edge, OVERLAP + 1)[:, None]
        total[first : first + len(scores)] += weight * scores
        weights[first : first + len(scores)] += weight
    return (total / weights).astype(np.float32)
