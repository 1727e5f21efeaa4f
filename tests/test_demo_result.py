"""The committed table: the demo learns, as scores that know nothing show."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from avsed.dataset.annotations import AnnotatedClip, read_classes, read_list
from avsed.evaluation.metrics import count_tags, micro_f1
from tests.conftest import ROOT


def committed(name: str) -> str:
    """Read a file as it was committed, whatever a run has made of it since."""
    return subprocess.run(
        ["git", "show", f"HEAD:{name}"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def table() -> dict[str, dict[str, float]]:
    """Return the committed metrics."""
    metrics: dict[str, dict[str, float]] = json.loads(committed("metrics/table.json"))
    return metrics


@pytest.fixture
def test_clips(tmp_path: Path) -> tuple[list[AnnotatedClip], tuple[str, ...]]:
    """Return the committed test list and the classes."""
    for name in ("classes.txt", "test.tsv"):
        (tmp_path / name).write_text(committed(f"data/metadata/{name}"))
    classes = read_classes(tmp_path)
    return read_list(tmp_path, "test", classes), classes


def score_by_chance(clips: list[AnnotatedClip], classes: tuple[str, ...], share: float) -> float:
    """Score a system that tags by chance, on the average of 20 draws; with 1.0, always."""
    rng = np.random.default_rng(0)
    reference = {clip.clip_id: clip.tags or () for clip in clips}
    scores = []
    for _ in range(20):
        drawn = {
            clip_id: [name for name in classes if rng.random() < share] for clip_id in reference
        }
        scores.append(micro_f1(count_tags(reference, drawn, classes).sum(axis=0)))
    return 100 * float(np.mean(scores))


def test_spectral_is_far_above_constant_and_random_scores(
    table: dict[str, dict[str, float]],
    test_clips: tuple[list[AnnotatedClip], tuple[str, ...]],
) -> None:
    by_chance = {share: score_by_chance(*test_clips, share) for share in (0.1, 0.2, 0.5, 1.0)}
    assert 10 < by_chance[0.1] < by_chance[1.0] < 40  # 1.0 is the constant score
    assert table["spectral"]["clip_f1"] > max(by_chance.values()) + 20


def test_pretrained_features_help(table: dict[str, dict[str, float]]) -> None:
    assert all(scores["clip_f1"] > 0 for scores in table.values())
    fused = json.loads(committed("metrics/intervals.json"))["spectral+auditory+visual"]
    for metric in ("clip_f1", "segment_f1"):
        assert fused[metric]["difference_low"] > 0  # compared with spectral
