"""Evaluate all seeds of a variant on validation and test (Section 4.3.2)."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avsed.dataset.annotations import read_classes, read_list
from avsed.dataset.clips import read_clips
from avsed.evaluation.counts import CountedClips, write_counts
from avsed.evaluation.system import (
    Reference,
    SystemResult,
    Thresholds,
    choose_thresholds,
    compare_methods,
    compute_metrics,
    find_reference,
)
from avsed.model.scores import ScoredSplit, read_scores
from avsed.params import Evaluation, Postprocess
from avsed.runtime.files import atomic_write

PsdsByMethod = Mapping[str, Mapping[str, NDArray[np.float64]]]


def evaluate_variant(
    scores_path: Path,
    *,
    metadata_dir: Path,
    clips_path: Path,
    postprocess: Postprocess,
    params: Evaluation,
    out_path: Path,
    counts_path: Path,
) -> None:
    """Compute all metrics of every seed of a variant on validation and test.

    Section 4.3.2. Clips without scores, because their media lack sound or images that the variant
    needs, are excluded. Thresholds are tuned on validation only.

    Args:
        scores_path: written by `write_scores`.
        metadata_dir: the lists and the classes.
        clips_path: `clips.csv`, for the clips' durations.
        postprocess: threshold and filters.
        params: settings of the metrics.
        out_path: JSON output: numbers of clips and metrics in [0, 1] by split and seed; tuned
            thresholds by seed and class.
        counts_path: HDF5 output: the counts behind the F1 scores on test, and the PSDS of each
            method of post-processing in resamples of the test clips.

    Raises:
        AvsedError: if a file is missing, or a split has no annotated event.
    """
    classes = read_classes(metadata_dir)
    durations = {record.clip_id: record.duration for record in read_clips(clips_path)}
    splits = read_scores(scores_path)
    lists = {split: read_list(metadata_dir, split, classes) for split in splits}
    references = {
        split: find_reference(scored, lists[split], durations=durations, classes=classes)
        for split, scored in splits.items()
    }
    with tqdm(splits["validation"].seeds, scores_path.stem, unit="seed") as seeds:
        thresholds, results, psds = _evaluate_seeds(
            seeds, splits, references, postprocess=postprocess, params=params
        )
    evaluation: dict[str, object] = {
        split: {
            "n_clips": len(splits[split].clip_ids),
            "n_listed": len(lists[split]),
            "seeds": {seed: result.metrics for seed, result in results[split].items()},
        }
        for split in splits
    }
    if params.thresholds == "tuned":
        evaluation["thresholds"] = {
            seed: _by_class(thresholds[seed], classes) for seed in thresholds
        }
    with atomic_write(out_path) as part:
        part.write_text(json.dumps(evaluation, indent=2) + "\n", "utf-8")
    write_counts(
        counts_path,
        CountedClips(
            clip_ids=references["test"].clip_ids,
            seeds={seed: result.counts for seed, result in results["test"].items()},
            psds=psds,
        ),
    )


def _evaluate_seeds(
    seeds: Iterable[int],
    splits: Mapping[str, ScoredSplit],
    references: Mapping[str, Reference],
    *,
    postprocess: Postprocess,
    params: Evaluation,
) -> tuple[dict[str, Thresholds], dict[str, dict[str, SystemResult]], dict[str, PsdsByMethod]]:
    """Return thresholds by seed, results by split and seed, and PSDS by seed and method on test."""
    thresholds: dict[str, Thresholds] = {}
    results: dict[str, dict[str, SystemResult]] = {split: {} for split in splits}
    psds: dict[str, PsdsByMethod] = {}
    for number in seeds:
        seed = str(number)
        # Thresholds are chosen on validation only; test must not influence them.
        thresholds[seed] = choose_thresholds(
            splits["validation"].seeds[number],
            references["validation"],
            postprocess=postprocess,
            params=params,
        )
        for split, scored in splits.items():
            results[split][seed] = compute_metrics(
                scored.seeds[number],
                references[split],
                thresholds=thresholds[seed],
                postprocess=postprocess,
                params=params,
            )
        psds[seed] = compare_methods(
            splits["test"].seeds[number], references["test"], postprocess=postprocess
        )
    return thresholds, results, psds


def _by_class(thresholds: Thresholds, classes: tuple[str, ...]) -> dict[str, dict[str, float]]:
    return {
        "tags": dict(zip(classes, thresholds.tags.tolist(), strict=True)),
        "events": dict(zip(classes, thresholds.events.tolist(), strict=True)),
    }
