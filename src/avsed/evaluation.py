"""From scores to metrics: every seed of a variant on validation and test (Section 4.3.2)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from avsed.annotations import AnnotatedClip, read_classes, read_list
from avsed.clips import read_clips
from avsed.config import Evaluation, Postprocess
from avsed.errors import AvsedError
from avsed.metrics import F1_AVERAGES, count_events, count_segments, count_tags
from avsed.postprocess import decide_tags, scores_to_events, smooth
from avsed.psds import polyphonic_scores
from avsed.scores import ScoredSplit, Scores, read_scores


def evaluate_variant(
    scores_path: Path,
    *,
    metadata_dir: Path,
    clips_path: Path,
    postprocess: Postprocess,
    params: Evaluation,
    out_path: Path,
) -> None:
    """Compute all metrics of every seed of a variant on validation and test.

    Section 4.3.2. Clips without scores, because their media lack what the variant needs, are left
    out of both splits.

    Args:
        scores_path: what `write_scores` wrote.
        metadata_dir: the lists.
        clips_path: `clips.csv`, for the clips' durations.
        postprocess: from scores to decisions.
        params: the metrics.
        out_path: becomes JSON: split to number of clips, and seed to metrics in [0, 1].

    Raises:
        AvsedError: if a file is missing, or nothing is annotated in a split.
    """
    classes = read_classes(metadata_dir)
    durations = {record.clip_id: record.duration for record in read_clips(clips_path)}
    evaluation: dict[str, dict[str, object]] = {}
    for split, scored in read_scores(scores_path).items():
        clips = {clip.clip_id: clip for clip in read_list(metadata_dir, split, classes)}
        evaluation[split] = {
            "n_clips": len(scored.clip_ids),
            "n_listed": len(clips),
            "seeds": {
                str(seed): score_system(
                    scores,
                    scored,
                    clips=clips,
                    durations=durations,
                    classes=classes,
                    postprocess=postprocess,
                    params=params,
                )
                for seed, scores in tqdm(scored.seeds.items(), desc=split, unit="seed")
            },
        }
    out_path.parent.mkdir(parents=True, exist_ok=True)
    out_path.write_text(json.dumps(evaluation, indent=2) + "\n", "utf-8")


def score_system(
    scores: Scores,
    scored: ScoredSplit,
    *,
    clips: Mapping[str, AnnotatedClip],
    durations: Mapping[str, float],
    classes: Sequence[str],
    postprocess: Postprocess,
    params: Evaluation,
) -> dict[str, float]:
    """Compute all metrics of one system on one split.

    Section 4.3.2; PSDS is not in the paper.

    Args:
        scores: of the split's n clips.
        scored: which clips they are, and their valid frames.
        clips: annotations by clip.
        durations: seconds by clip.
        classes: the label vocabulary.
        postprocess: from scores to decisions.
        params: the metrics.

    Returns:
        Metric to its value in [0, 1].

    Raises:
        AvsedError: if nothing is annotated in the split.
    """
    reference = [clips[clip_id] for clip_id in scored.clip_ids]
    if not any(clip.events for clip in reference):
        raise AvsedError(
            f"none of the {len(reference)} clips has an annotated event, so that there is nothing "
            "to score; see data/metadata/validation.tsv and test.tsv"
        )
    true_tags = {clip.clip_id: clip.tags or () for clip in reference}
    true_events = {clip.clip_id: clip.events or () for clip in reference}
    tags = {
        clip_id: decide_tags(clip_scores, threshold=postprocess.threshold, classes=classes)
        for clip_id, clip_scores in zip(scored.clip_ids, scores.clip_scores, strict=True)
    }
    events = {
        clip_id: scores_to_events(
            frame_scores,
            classes=classes,
            threshold=postprocess.threshold,
            median_filter_frames=postprocess.median_filter_frames,
            n_valid=int(n_valid),
            duration=durations[clip_id],
        )
        for clip_id, frame_scores, n_valid in zip(
            scored.clip_ids, scores.frame_scores, scored.valid_frames, strict=True
        )
    }
    counts = {
        "clip_f1": count_tags(true_tags, tags, classes),
        "segment_f1": count_segments(
            true_events, events, classes, segment_length=params.segment_length
        ),
        "event_f1": count_events(
            true_events,
            events,
            classes,
            collar=params.event_collar,
            offset_collar=params.offset_collar,
            offset_collar_share=params.offset_collar_share,
        ),
    }
    f1 = {
        metric: float(average(counts[metric].sum(axis=0)))
        for metric, average in F1_AVERAGES.items()
    }
    # Smoothed like the decisions, so that PSDS sees the events of all thresholds.
    smoothed = {
        clip_id: smooth(
            frame_scores,
            median_filter_frames=postprocess.median_filter_frames,
            n_valid=int(n_valid),
        )
        for clip_id, frame_scores, n_valid in zip(
            scored.clip_ids, scores.frame_scores, scored.valid_frames, strict=True
        )
    }
    return f1 | polyphonic_scores(smoothed, true_events, classes, durations=durations)
