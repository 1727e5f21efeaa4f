"""The command `avsed`: where it finds lists, what it says and how it ends."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from avsed.dataset.annotations import AnnotatedClip, Event, write_classes, write_list
from avsed.dataset.clips import missing_clip
from avsed.sources.youtube.ledger import open_ledger
from avsed.sources.youtube.lists import FILES
from tests.conftest import run_avsed
from tests.helpers.user_folder import write_lists, write_set_up


def test_the_command_checks_a_folder_and_loads_no_torch(tmp_path: Path) -> None:
    write_lists(tmp_path)
    write_classes(tmp_path, ("Cat",))
    command = [sys.executable, "-X", "importtime", "-m", "avsed.cli", "metadata", "check"]
    ended = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ended.stdout.endswith("\n0 errors, 0 warnings\n")
    assert "avsed.sources.check_lists" in ended.stderr
    assert "torch" not in ended.stderr


def test_the_version_is_that_of_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_avsed(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"avsed {metadata.version('avsed')}\n"


def test_errors_end_with_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lists(tmp_path)
    write_classes(tmp_path, ("Cow",))
    (tmp_path / "unlabeled.tsv").unlink()
    assert run_avsed(monkeypatch, "metadata", "check", str(tmp_path)) == 1
    printed = capsys.readouterr().out
    assert printed.count("'Cat' is not among the classes Cow") == 3
    assert "unlabeled.tsv: no such list" in printed


@pytest.mark.parametrize("quiet", [False, True])
def test_more_errors_than_can_be_read_are_in_a_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    quiet: bool,
) -> None:
    write_lists(tmp_path)
    write_classes(tmp_path, ("Cat",))
    rows = "".join(f"w{n}.wav\tCow\n" for n in range(300))
    (tmp_path / "weak.tsv").write_text(f"filename\tevent_labels\n{rows}")
    options = ["--quiet"] if quiet else []
    assert run_avsed(monkeypatch, "metadata", "check", *options, str(tmp_path)) == 1
    captured = capsys.readouterr()
    printed = captured.err if quiet else captured.out
    path = tmp_path / "store" / "metadata_errors.txt"
    assert f"all 300 errors are in {path}\n" in printed
    assert printed.count("'Cow' is not among the classes Cat") == 20
    assert "an unknown label: 280 more errors of this kind" in printed
    assert path.read_text("utf-8").count("'Cow' is not among the classes Cat") == 300


def test_a_folder_without_classes_takes_labels_for_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lists(tmp_path, label="Moo")
    assert run_avsed(monkeypatch, "metadata", "check", str(tmp_path)) == 0
    assert "No vocabulary is known" in capsys.readouterr().out


def test_a_folder_in_the_layout_of_dcase_2018_has_its_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lists(tmp_path, label="Moo")
    for split, name in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{split}.tsv").rename(tmp_path / name)
    assert run_avsed(monkeypatch, "metadata", "check", str(tmp_path)) == 1
    printed = capsys.readouterr().out
    assert printed.count("'Moo' is not among the classes Alarm_bell_ringing, Blender") == 3
    assert "eval/eval.csv, line 2" in printed


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("absent", "error: absent: not found; name the folder of the lists\n"),
        (".", "error: .: contains neither weak.tsv, unlabeled.tsv, validation.tsv, test.tsv nor "),
    ],
)
def test_a_folder_without_lists_is_one_line_and_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_avsed(monkeypatch, "metadata", "check", folder) == 2
    assert capsys.readouterr().err.startswith(message)


def test_without_a_folder_the_demos_lists_are_checked_once_they_are_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_set_up(tmp_path, "demo")
    assert run_avsed(monkeypatch, "metadata", "check") == 2
    assert "run `dvc repro prepare` first" in capsys.readouterr().err
    write_lists(Path("data/metadata"))
    write_classes(Path("data/metadata"), ("Cat",))
    assert run_avsed(monkeypatch, "metadata", "check") == 0
    assert "test: data/metadata/test.tsv" in capsys.readouterr().out


def test_without_a_folder_ones_own_lists_are_checked_against_the_profiles_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_set_up(tmp_path, "local")
    write_lists(Path("data/local/metadata"), label="Moo")
    assert run_avsed(monkeypatch, "metadata", "check") == 1
    printed = capsys.readouterr().out
    assert "data/local/metadata/weak.tsv, line 2: 'Moo' is not among the classes Alarm" in printed


def test_without_a_folder_the_papers_lists_must_be_the_published_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_set_up(tmp_path, "paper")
    profile = Path("profiles/paper.yaml")
    profile.write_text(profile.read_text("utf-8").replace("lists: published", "lists: mine"))
    Path("mine/train").mkdir(parents=True)
    Path("mine/train/weak.csv").write_text("filename\tevent_labels\n")
    assert run_avsed(monkeypatch, "metadata", "check") == 2
    assert "mine/train/weak.csv: is not the published list" in capsys.readouterr().err


def test_gone_videos_are_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_ledger(waits=False) as ledger:
        ledger.add(missing_clip("a", "private: Private video"))
        ledger.add(missing_clip("b", "removed: by the uploader"))
    assert run_avsed(monkeypatch, "clips", "retry", "private") == 0
    assert capsys.readouterr().out.startswith("1 clips will be requested again")
    with open_ledger(waits=False) as ledger:
        assert [ledger.is_settled(clip_id) for clip_id in "ab"] == [False, True]
    assert run_avsed(monkeypatch, "clips", "retry") == 0
    assert capsys.readouterr().out.startswith("1 clips")


@pytest.mark.parametrize("has_strong", [True, False])
def test_a_strong_list_is_checked_if_there_is_one(
    has_strong: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_lists(tmp_path)
    if has_strong:
        event = Event(onset=0.0, offset=1.0, label="Cat")
        write_list(
            tmp_path, "strong", [AnnotatedClip(clip_id="t1", tags=("Cat",), events=(event,))]
        )
    assert run_avsed(monkeypatch, "metadata", "check", str(tmp_path)) == int(has_strong)
    printed = capsys.readouterr().out
    assert (f"strong: {tmp_path / 'strong.tsv'}" in printed) == has_strong
    assert ("strong.tsv and" in printed and "both list t1" in printed) == has_strong


@pytest.mark.parametrize(("has_strong", "n_jobs"), [(True, 4), (False, 2)])
def test_jobs_train_no_seed_twice_where_there_are_no_strong_labels(
    has_strong: bool,
    n_jobs: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_set_up(tmp_path, "demo")  # with two seeds of each row
    if has_strong:
        event = Event(onset=0.0, offset=1.0, label="Cat")
        clip = AnnotatedClip(clip_id="s1", tags=("Cat",), events=(event,))
        write_list(Path("data/metadata"), "strong", [clip])
    row = "auditory+visual"
    assert run_avsed(monkeypatch, "train", row, f"{row}+strong", "--shard", "5/5") == 0
    assert f"has no seeds to train; use at most {n_jobs} jobs" in capsys.readouterr().err
