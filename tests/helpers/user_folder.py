"""A user's folder with lists of clips and parameters."""

import shutil
from pathlib import Path

from avsed.dataset.annotations import AnnotatedClip, Event, write_list
from tests.conftest import ROOT


def write_lists(folder: Path, label: str = "Cat") -> None:
    """Write a list of one clip for each split."""
    events = (Event(onset=0.0, offset=1.0, label=label),)
    write_list(folder, "weak", [AnnotatedClip(clip_id="w1", tags=(label,))])
    write_list(folder, "unlabeled", [AnnotatedClip(clip_id="u1")])
    write_list(folder, "validation", [AnnotatedClip(clip_id="v1", tags=(label,), events=events)])
    write_list(folder, "test", [AnnotatedClip(clip_id="t1", tags=(label,), events=events)])


def write_set_up(folder: Path, profile: str) -> None:
    """Write the project's parameters, with one of its profiles."""
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    shutil.copy(ROOT / "variants.yaml", folder)
    params = (
        (ROOT / "params.yaml").read_text("utf-8").replace("profile: demo", f"profile: {profile}")
    )
    (folder / "params.yaml").write_text(params, "utf-8")
