"""Find events in live sound, window by window, as it arrives.

The windows are those in which `predict` scores a file, so both find the same events. A window
overlaps the next one by a third, so its last third is decided when the next one closes.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avsed.errors import AvsedError
from avsed.evaluation.postprocess import DetectedEvent, detect_events, make_filters
from avsed.features.extraction.batching import ExtractorGroup
from avsed.framing import CLIP_DURATION, FRAME_HOP, N_FRAMES, frame_onset
from avsed.prediction.live_audio import LiveAudio, LiveSource
from avsed.prediction.predict import (
    Detector,
    WindowInputs,
    join_windows,
    require_all,
    score_windows,
)
from avsed.prediction.windows import AHEAD, WINDOW_HOP

# Seconds from the end of an event until the sound has arrived that decides it; filters for gaps and
# short events, and computing, take more.
SHORTEST_DELAY = frame_onset(N_FRAMES - WINDOW_HOP)
LONGEST_DELAY = CLIP_DURATION + frame_onset(AHEAD)


def listen(model: Detector, source: LiveSource) -> Iterator[list[DetectedEvent]]:
    """Find the events of live sound.

    Args:
        model: a detector that only needs audio.
        source: read until it ends.

    Yields:
        When a window closes, the events that are decided by it and were not before, by onset, then
        label. Times are seconds from the start of listening.

    Raises:
        AvsedError: if the model needs images or the whole sound, the source cannot be read or
            breaks off, or scores are NaN or infinite.
    """
    group = ExtractorGroup(model.extractors)
    if group.image_front_end:
        raise AvsedError(
            f"the model needs {', '.join(model.extractors)} features, of images too; listen with a "
            "model that only uses sound, such as spectral"
        )
    if model.decisions.method != "median":
        raise AvsedError(
            "the model's events are bounding boxes, which are found in the whole sound; listen "
            "with a model whose postprocess.method is median"
        )
    events = EventStream(model)
    end = 0.0
    with LiveAudio(source, group.sample_rates) as audio:
        for first_frame, media in audio.read_windows():
            seconds = max(len(samples) / rate for rate, samples in media.waveforms.items())
            duration = min(seconds, CLIP_DURATION)
            window = WindowInputs(
                first_frame=first_frame,
                duration=duration,
                inputs=require_all(group.prepare(media, duration)),
                warning="",
            )
            (scores,) = score_windows(model, [window])
            if not np.isfinite(scores.frame_scores).all():
                raise AvsedError("the model's scores are NaN or infinite; train it again")
            end = frame_onset(first_frame) + duration
            yield events.add(first_frame, scores.frame_scores)
        yield events.finish(end)
        audio.require_whole()


class EventStream:
    """Turn the frame scores of windows into events, as soon as these are certain."""

    def __init__(self, model: Detector) -> None:
        self._model = model
        filters = make_filters(model.decisions, model.classes)
        # Frames around a frame on which its decision can depend.
        self._reach = 1 + int(
            max(filters.median) // 2 + max(filters.largest_gap) + max(filters.shortest_event)
        )
        self._last: tuple[int, NDArray[np.float32]] | None = None  # window
        self._first = 0  # frame of the first kept score
        self._scores = np.empty((0, len(model.classes)), np.float32)  # final ones
        self._n_certain = 0  # frames before which all ends of events are certain

    def add(self, first_frame: int, frame_scores: NDArray[np.float32]) -> list[DetectedEvent]:
        """Add the scores of the next window; return the events that are certain now.

        Args:
            first_frame: of the window, in the whole.
            frame_scores: (n, K).
        """
        joined = frame_scores
        if self._last:
            before, earlier = self._last
            distance = first_frame - before
            joined = join_windows([(0, earlier), (distance, frame_scores)])[distance:]
        self._last = (first_frame, joined)
        # The next window changes the frames from its first one on.
        self._scores = np.concatenate([self._scores, joined[:WINDOW_HOP]])
        n_final = self._first + len(self._scores)
        found = self._events(until=n_final - self._reach, duration=frame_onset(n_final))
        self._drop_past(n_final)
        return found

    def finish(self, duration: float) -> list[DetectedEvent]:
        """Return the other events, after the last window.

        Args:
            duration: seconds of the whole.
        """
        if not self._last:
            return []
        self._scores = np.concatenate([self._scores, self._last[1][WINDOW_HOP:]])
        return self._events(until=None, duration=duration)

    def _detect(self, duration: float) -> list[DetectedEvent]:
        """Find events in the kept scores; times count from the first of them."""
        decisions = self._model.decisions
        events = detect_events(
            self._scores,
            classes=self._model.classes,
            threshold=np.array([decisions.events[label] for label in self._model.classes]),
            settings=decisions,
            n_valid=len(self._scores),
            duration=duration - frame_onset(self._first),
        )
        return list(events)

    def _events(self, *, until: int | None, duration: float) -> list[DetectedEvent]:
        """Return the events that end after those returned before, and up to a frame."""
        start = frame_onset(self._first)
        found = []
        for event in self._detect(duration):
            end = self._first + math.ceil(round(event.offset / FRAME_HOP, 6))
            if end > self._n_certain and (until is None or end <= until):
                found.append(replace(event, onset=start + event.onset, offset=start + event.offset))
        self._n_certain = max(self._n_certain, until or 0)
        return found

    def _drop_past(self, n_final: int) -> None:
        """Drop scores on which no event depends that is still to be returned."""
        onsets = [
            self._first + round(event.onset / FRAME_HOP)
            for event in self._detect(frame_onset(n_final))
            if self._first + event.offset / FRAME_HOP > self._n_certain
        ]
        first = max(self._first, min([self._n_certain, *onsets]) - self._reach)
        self._scores = self._scores[first - self._first :]
        self._first = first
