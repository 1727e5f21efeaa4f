"""Clips from YouTube under DVC: killed, moved, lost and found again, and never asked for twice."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avsed.dataset.clips import read_clips
from avsed.dataset.ffmpeg import ffmpeg_path
from avsed.runtime.files import file_sha256
from avsed.sources.youtube.lists import FILES, SHA256
from tests.helpers.cloned import Clone, copy_repository, stages_run
from tests.helpers.video_site import Answer, VideoSite, open_site, serve

pytestmark = pytest.mark.slow

SPLITS = {"weak": range(5), "unlabeled": range(5, 9), "validation": range(9, 11), "test": (11, 12)}
GONE = 3  # of the weak list
EVENT = "0.000\t1.000\tDog"
HEADERS = {
    "weak": "filename\tevent_labels",
    "unlabeled": "filename",
    "validation": "filename\tonset\toffset\tevent_label",
    "test": "filename\tonset\toffset\tevent_label",
}
ANNOTATIONS = {"weak": "\tDog", "unlabeled": "", "validation": f"\t{EVENT}", "test": f"\t{EVENT}"}
N_HAD = 12


def video_id(number: int) -> str:
    return f"-v{number:09d}"


def clip_id(number: int) -> str:
    return f"Y{video_id(number)}_0.000_3.000"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VideoSite]:
    """Serve all videos but one, each another and a little slowly."""
    folder = tmp_path_factory.mktemp("site")
    answers: dict[str, Answer] = {}
    for number in (number for split in SPLITS.values() for number in split if number != GONE):
        path = folder / f"{number}.mp4"
        tone = ("-f", "lavfi", "-i", f"sine=frequency={200 + 50 * number}:duration=4")
        picture = ("-f", "lavfi", "-i", "testsrc=duration=4:size=64x48:rate=5")
        subprocess.run([ffmpeg_path(), "-v", "error", *tone, *picture, str(path)], check=True)
        answers[video_id(number)] = slowly(serve(path.read_bytes()))
    with open_site(answers) as site:
        yield site


def slowly(answer: Answer) -> Answer:
    def answer_slowly(handler: Any, number: int) -> None:
        time.sleep(0.2)
        answer(handler, number)

    return answer_slowly


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, site: VideoSite) -> Clone:
    """Set up the paper's profile for the site's videos, lists of them pinned as the real ones."""
    clone = copy_repository(tmp_path_factory.mktemp("clone"))
    folder = tmp_path_factory.mktemp("lists")
    for split, numbers in SPLITS.items():
        rows = [f"{clip_id(number)}.wav{ANNOTATIONS[split]}" for number in numbers]
        path = folder / FILES[split]
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([HEADERS[split], *rows]) + "\n")
        pinned = hashlib.sha256(path.read_bytes()).hexdigest()
        clone.replace("src/avsed/sources/youtube/lists.py", SHA256[split], pinned)
    clone.replace("profiles/paper.yaml", "lists: .*", f"lists: {folder}")
    for after in ("visual", "  resize"):  # published weights are fetched first, which is elsewhere
        clone.replace("profiles/paper.yaml", f"pretrained(?=\n{after})", "random")
    clone.replace("params.yaml", "profile: demo", "profile: paper")
    clone.replace("params.yaml", "sleep: 12", "sleep: 0")
    clone.replace(
        "src/avsed/sources/youtube/fetching.py",
        re.escape('address="https://www.youtube.com/watch?v={video_id}", extractor="youtube"'),
        f'address="{site.site.address}", extractor="generic"',
    )
    clone.replace(
        "src/avsed/sources/youtube/scheduling.py", "backoff: float = 30.0", "backoff: float = 0.1"
    )
    clone.commit()
    return clone


def require_own_media(clone: Clone) -> None:
    """Hold each clip against the table's hash; no two are the same."""
    had = [r for r in read_clips(clone.path / "data" / "clips.csv") if r.status == "ok"]
    assert len({record.sha256 for record in had}) == len(had) == N_HAD
    for record in had:
        assert file_sha256(clone.path / "data" / "clips" / record.file) == record.sha256


def asked_for(site: VideoSite) -> int:
    return sum(site.n_requests.values())


def test_a_killed_experiment_goes_on_and_loses_no_clip(clone: Clone, site: VideoSite) -> None:
    command = ["dvc", "exp", "run", "collect"]
    process = subprocess.Popen(
        command,
        cwd=clone.path,
        env=clone.environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while sum(site.n_served.values()) < 10:  # each video is asked for twice
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.5)  # until the site has answered what was asked
    store = clone.path / ".avsed" / "youtube" / "clips"
    finished = {path.stem for path in store.iterdir()}
    assert 0 < len(finished) < N_HAD

    before = site.n_requests.copy()
    output = clone.run(*command)
    asked = {f"Y{name}_0.000_3.000" for name in site.n_requests - before}
    assert not asked & finished
    assert f"{N_HAD} of {N_HAD + 1} clips can be decoded" in output
    clips = list((clone.path / "data" / "clips").iterdir())
    assert len(clips) == N_HAD
    require_own_media(clone)
    # Store, DVC's cache and workspace hold a clip's media once.
    assert all(path.samefile(store / path.name) for path in clips)


def test_what_was_had_and_what_not_is_reported(clone: Clone) -> None:
    report = (clone.path / "reports" / "clips.md").read_text()
    assert "| weak | 5 | 4 | 80.0% | 1,439 |" in report
    assert "| not found | 1 | 0 | 0 | 0 | gone |" in report
    metrics = json.loads(clone.run("dvc", "metrics", "show", "--json"))
    counted = metrics[""]["data"]["metrics/clips.json"]["data"]
    assert counted["weak"] == {"available": 4, "missing": 1}
    assert counted["test"] == {"available": 2, "missing": 0}


def test_with_everything_there_nobody_is_asked(clone: Clone, site: VideoSite) -> None:
    clone.commit()
    before = asked_for(site)
    assert stages_run(clone.run("dvc", "repro", "collect")) == set()
    # Even if the stage runs again.
    assert stages_run(clone.run("dvc", "repro", "--single-item", "-f", "collect")) == {"collect"}
    assert asked_for(site) == before
    assert clone.run("git", "status", "--porcelain") == ""


def test_clips_of_a_lost_store_come_from_dvc(clone: Clone, site: VideoSite) -> None:
    before = asked_for(site)
    shutil.rmtree(clone.path / ".avsed")
    output = clone.run("dvc", "repro", "--single-item", "-f", "collect")
    assert f"{N_HAD} of {N_HAD} clips of the last commit come from DVC" in output
    assert asked_for(site) == before
    require_own_media(clone)
    assert clone.run("git", "status", "--porcelain") == ""


def test_a_remote_carries_the_clips(clone: Clone, site: VideoSite, tmp_path: Path) -> None:
    before = asked_for(site)
    clone.run("dvc", "remote", "add", "--default", "lab", str(tmp_path / "remote"))
    clone.commit()
    clone.run("dvc", "push", "collect")
    colleague = Clone(tmp_path / "colleague")
    colleague.path.mkdir()
    colleague.run("git", "clone", "--quiet", str(clone.path), ".")
    colleague.run("dvc", "pull", "collect")
    names = {path.name for path in (clone.path / "data" / "clips").iterdir()}
    assert {path.name for path in (colleague.path / "data" / "clips").iterdir()} == names
    assert stages_run(colleague.run("dvc", "repro", "collect")) == set()

    # Another version of the code, so that the stage runs again.
    path = colleague.path / "src" / "avsed" / "dataset" / "media.py"
    path.write_text(path.read_text() + "# an edit\n")
    output = colleague.run("dvc", "repro", "collect")
    assert "collect" in stages_run(output)
    require_own_media(colleague)
    assert asked_for(site) == before

    # The store and DVC's cache are lost, and the remote cannot be reached.
    for folder in (".avsed", ".dvc/cache"):
        shutil.rmtree(colleague.path / folder)
    (tmp_path / "remote").rename(tmp_path / "elsewhere")
    output = colleague.run("dvc", "repro", "--single-item", "-f", "collect", fails=True)
    (error,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert f"{N_HAD} clips of the last commit came neither from DVC's cache nor from its" in error
    assert asked_for(site) == before
    colleague.run("dvc", "remote", "default", "--unset")
    colleague.run("dvc", "repro", "--single-item", "-f", "collect")
    assert asked_for(site) == before + 2 * N_HAD  # each video is asked for twice
    require_own_media(colleague)


def test_too_few_clips_end_in_one_clear_line(clone: Clone) -> None:
    output = clone.run(
        "dvc", "exp", "run", "-S", "download.min_fraction=0.9", "collect", fails=True
    )
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "only 4 of 5 weak clips are available; download.min_fraction requires 90%" in errors[0]
    assert "Traceback" not in output
    output = clone.run("dvc", "exp", "run", "-S", "download.min_fraction=0.8", "collect")
    assert "clips can be decoded" in output
