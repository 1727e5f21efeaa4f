"""Where a variant errs: by class, by kind of error, in time, in single clips (not in the paper).

Means are of the seeds that the table averages: each analysis has those chosen by its own metric.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avsed.dataset.annotations import Event, read_classes, read_list
from avsed.dataset.clips import read_clips
from avsed.evaluation.counts import CountedClips
from avsed.evaluation.metrics import F1_AVERAGES, class_f1, count_segment_errors
from avsed.evaluation.system import Reference, estimate_events, find_reference
from avsed.model.scores import read_scores
from avsed.params import Params
from avsed.report.best_seeds import Result
from avsed.report.page.boundary_errors import count_boundary_errors
from avsed.report.page.example_clips import METRIC


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """The F1 of each class, in %; NaN of a class without annotated events.

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
    """What a variant found in a clip.

    Attributes:
        events: of each chosen seed, best first.
        frame_scores: (T, K) mean of the chosen seeds in [0, 1], without padding.
    """

    events: tuple[tuple[Event, ...], ...]
    frame_scores: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Where a variant errs; counts are means of seeds.

    Attributes:
        segment_error_rates: substitutions, deletions and insertions in % of what is annotated.
        onset_errors: (K, 23) matched events by their onset's error, as of `BoundaryErrors`.
        offset_errors: (K, 23) likewise by their offset's.
        n_reference: annotated events.
        n_estimated: estimated events.
        timelines: clip to what was found in it, of the clips asked for that have scores.
    """

    segment_error_rates: Mapping[str, float]
    onset_errors: NDArray[np.float64]
    offset_errors: NDArray[np.float64]
    n_reference: float
    n_estimated: float
    timelines: Mapping[str, Timeline]


def class_f1_ranges(counted: CountedClips, results: Mapping[str, Result]) -> dict[str, ClassScores]:
    """Compute the F1 of each class.

    Args:
        counted: the variant's counts.
        results: metric to the seeds that were chosen by it.

    Returns:
        F1 score to its classes.
    """
    scores = {}
    for metric in F1_AVERAGES:
        f1 = {
            seed: 100.0 * class_f1(counts[metric].sum(axis=0))
            for seed, counts in counted.seeds.items()
        }
        scores[metric] = ClassScores(
            mean=np.mean([f1[seed] for seed in results[metric].seeds], axis=0),
            lowest=np.min(list(f1.values()), axis=0),
            highest=np.max(list(f1.values()), axis=0),
        )
    return scores


def analyze_variant(
    scores_path: Path,
    evaluation: Mapping[str, Any],
    results: Mapping[str, Result],
    *,
    metadata_dir: Path,
    clips_path: Path,
    params: Params,
    clip_ids: Sequence[str],
) -> Analysis:
    """Find where the chosen seeds of a variant err on test.

    Args:
        scores_path: what `write_scores` wrote.
        evaluation: what `evaluate_variant` wrote, for its thresholds.
        results: metric to the seeds that were chosen by it.
        metadata_dir: the lists.
        clips_path: `clips.csv`, for the clips' durations.
        params: the decisions and the length of segments.
        clip_ids: whose timelines are wanted.

    Raises:
        AvsedError: if a file is missing.
    """
    classes = read_classes(metadata_dir)
    scored = read_scores(scores_path)["test"]
    reference = find_reference(
        scored,
        read_list(metadata_dir, "test", classes),
        durations={record.clip_id: record.duration for record in read_clips(clips_path)},
        classes=classes,
    )
    by_segments, by_events = results[METRIC].seeds, results["event_f1"].seeds
    events = {
        seed: estimate_events(
            scored.seeds[int(seed)],
            reference,
            threshold=_thresholds(evaluation, seed, classes, params),
            postprocess=params.postprocess,
        )
        for seed in {*by_segments, *by_events}
    }
    boundaries = [
        count_boundary_errors(reference.events, events[seed], classes) for seed in by_events
    ]
    timelines = {}
    for clip_id in clip_ids:
        if clip_id in reference.clip_ids:
            row = reference.clip_ids.index(clip_id)
            n_valid = int(scored.valid_frames[row])
            frames = [scored.seeds[int(seed)].frame_scores[row, :n_valid] for seed in by_segments]
            timelines[clip_id] = Timeline(
                events=tuple(events[seed][clip_id] for seed in by_segments),
                frame_scores=np.mean(frames, axis=0, dtype=np.float64),
            )
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
        timelines=timelines,
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
