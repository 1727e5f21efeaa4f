"""Analyze a variant's errors: by class, by type, in time, in single clips (not in the paper).

Means are over the chosen seeds, as in the table: each analysis uses those of its own metric.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avsed.dataset.annotations import AnnotatedClip, Event, cut_clip, read_classes, read_list
from avsed.dataset.clips import read_clips
from avsed.evaluation.metrics import F1_AVERAGES, class_f1, count_segment_errors
from avsed.evaluation.system import Reference, estimate_events, find_reference
from avsed.framing import CLIP_DURATION
from avsed.model.scores import ScoredSplit
from avsed.params import Params
from avsed.report.page.boundary_errors import count_boundary_errors
from avsed.report.page.example_clips import METRIC
from avsed.report.rows import VariantResults


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """The annotated test clips.

    Attributes:
        classes: K labels.
        clips: the test list; events are truncated where the media of their clip end.
        durations: clip to seconds.
    """

    classes: tuple[str, ...]
    clips: list[AnnotatedClip]
    durations: Mapping[str, float]

    @property
    def events(self) -> dict[str, tuple[Event, ...]]:
        """Clip to its annotated events."""
        return {clip.clip_id: clip.events or () for clip in self.clips}


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """F1 of each class in %; NaN for a class without annotated events.

    Attributes:
        mean: (K,) of the chosen seeds.
        lowest: (K,) of all seeds.
        highest: (K,) of all seeds.
    """

    mean: NDArray[np.float64]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Estimated events and scores of a variant in a clip.

    Attributes:
        events: of each chosen seed, best first.
        frame_scores: (T, K) mean of the chosen seeds in [0, 1], without padding.
    """

    events: tuple[tuple[Event, ...], ...]
    frame_scores: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Errors of a variant; counts are means over seeds.

    Attributes:
        segment_error_rates: substitutions, deletions and insertions in % of the annotated
            classes, summed over segments.
        onset_errors: (K, 23) matched events by onset error, in the bins of `BoundaryErrors`.
        offset_errors: (K, 23) likewise by offset error.
        n_reference: number of annotated events.
        n_estimated: number of estimated events.
        timelines: by clip, for the requested clips with scores.
    """

    segment_error_rates: Mapping[str, float]
    onset_errors: NDArray[np.float64]
    offset_errors: NDArray[np.float64]
    n_reference: float
    n_estimated: float
    timelines: Mapping[str, Timeline]


def read_test_set(metadata_dir: Path, clips_path: Path) -> TestSet:
    """Read the test list, and the durations in `clips.csv`.

    Raises:
        AvsedError: if a file is missing or invalid.
    """
    classes = read_classes(metadata_dir)
    durations = {record.clip_id: record.duration for record in read_clips(clips_path)}
    return TestSet(
        classes=classes,
        clips=[
            cut_clip(clip, durations.get(clip.clip_id, CLIP_DURATION))
            for clip in read_list(metadata_dir, "test", classes)
        ],
        durations=durations,
    )


def class_f1_ranges(results: VariantResults) -> dict[str, ClassScores]:
    """Compute the F1 of each class, by F1 score."""
    scores = {}
    for metric in F1_AVERAGES:
        f1 = {
            seed: 100.0 * class_f1(counts[metric].sum(axis=0))
            for seed, counts in results.counted.seeds.items()
        }
        scores[metric] = ClassScores(
            mean=np.mean([f1[seed] for seed in results.chosen[metric]], axis=0),
            lowest=np.min(list(f1.values()), axis=0),
            highest=np.max(list(f1.values()), axis=0),
        )
    return scores


def analyze_variant(
    scored: ScoredSplit,
    results: VariantResults,
    test_set: TestSet,
    *,
    params: Params,
    clip_ids: Sequence[str],
) -> Analysis:
    """Find where the chosen seeds of a variant err on test.

    Args:
        scored: the variant's scores on test.
        results: its chosen seeds, and its tuned thresholds, if any.
        test_set: the annotated test clips.
        params: postprocessing, and the length of segments.
        clip_ids: clips whose timelines are returned.

    Raises:
        AvsedError: if the scored clips have no annotated event.
    """
    reference = find_reference(
        scored, test_set.clips, durations=test_set.durations, classes=test_set.classes
    )
    by_segments, by_events = results.chosen[METRIC], results.chosen["event_f1"]
    events = {
        seed: estimate_events(
            scored.seeds[int(seed)],
            reference,
            threshold=_thresholds(results.evaluation, seed, test_set.classes, params),
            postprocess=params.postprocess,
        )
        for seed in {*by_segments, *by_events}
    }
    boundaries = [
        count_boundary_errors(reference.events, events[seed], test_set.classes)
        for seed in by_events
    ]
    return Analysis(
        segment_error_rates=_segment_error_rates(
            reference,
            [events[seed] for seed in by_segments],
            segment_length=params.evaluation.segment_length,
        ),
        onset_errors=np.mean([errors.onset for errors in boundaries], axis=0),
        offset_errors=np.mean([errors.offset for errors in boundaries], axis=0),
        n_reference=boundaries[0].n_reference,
        n_estimated=float(np.mean([errors.n_estimated for errors in boundaries])),
        timelines={
            clip_id: _timeline(clip_id, scored, {seed: events[seed] for seed in by_segments})
            for clip_id in clip_ids
            if clip_id in scored.clip_ids
        },
    )


def _timeline(
    clip_id: str, scored: ScoredSplit, events: Mapping[str, Mapping[str, tuple[Event, ...]]]
) -> Timeline:
    """Collect a clip's events by seed, and average its frame scores over these seeds."""
    row = scored.clip_ids.index(clip_id)
    n_valid = int(scored.valid_frames[row])
    frames = [scored.seeds[int(seed)].frame_scores[row, :n_valid] for seed in events]
    return Timeline(
        events=tuple(by_clip[clip_id] for by_clip in events.values()),
        frame_scores=np.mean(frames, axis=0, dtype=np.float64),
    )


def _thresholds(
    evaluation: Mapping[str, Any], seed: str, classes: Sequence[str], params: Params
) -> NDArray[np.float64]:
    if "thresholds" not in evaluation:
        return np.full(len(classes), params.postprocess.threshold)
    tuned = evaluation["thresholds"][seed]["events"]
    return np.array([tuned[label] for label in classes])


def _segment_error_rates(
    reference: Reference,
    estimates: Sequence[Mapping[str, tuple[Event, ...]]],
    *,
    segment_length: float,
) -> dict[str, float]:
    counted = [
        count_segment_errors(
            reference.events, estimated, reference.classes, segment_length=segment_length
        )
        for estimated in estimates
    ]
    return {
        kind: float(
            np.mean([100.0 * getattr(errors, kind) / errors.n_reference for errors in counted])
        )
        for kind in ("substitutions", "deletions", "insertions")
    }
