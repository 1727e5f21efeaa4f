"""`avsed predict`: output, files and exit status."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from avsed.dataset.annotations import read_list_file
from avsed.dataset.ffmpeg import run_ffmpeg
from avsed.evaluation.postprocess import DetectedEvent
from avsed.framing import FRAME_HOP
from avsed.model.decisions import fixed_decisions, write_decisions
from avsed.params import Postprocess
from avsed.prediction.files import format_prediction
from avsed.prediction.many import predict_many
from avsed.prediction.media_files import find_media_files
from avsed.prediction.predict import Prediction, predict
from avsed.prediction.trained_model import load_model
from tests.conftest import run_avsed
from tests.helpers.models import CLASSES, write_model

THRESHOLD = 0.35  # with which these students find some events


@pytest.fixture
def model_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a spectral model into an otherwise empty folder."""
    monkeypatch.chdir(tmp_path)
    return write_model(tmp_path / "spectral", "spectral", n_seeds=2)


@pytest.fixture
def long_path(tmp_path: Path, clip_path: Path) -> Path:
    """Create a video of 20 s."""
    path = tmp_path / "long.mp4"
    run_ffmpeg(["-stream_loop", "4", "-i", str(clip_path), "-c", "copy", str(path)])
    return path


def test_what_was_found_is_printed_and_written(
    model_dir: Path,
    clip_path: Path,
    long_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    media = (clip_path, long_path)
    out = Path("results") / "of today"
    threshold = ("--threshold", str(THRESHOLD))
    status = run_avsed(
        monkeypatch, "predict", *media, "--model", model_dir, *threshold, "--out", out
    )
    assert status == 0
    printed = capsys.readouterr().out
    decisions = fixed_decisions(CLASSES, Postprocess(threshold=THRESHOLD, median_filter_frames=7))
    model = replace(load_model(model_dir, {}), decisions=decisions)
    listed = {clip.clip_id: clip for clip in read_list_file(out / "events.tsv", "test", CLASSES)}
    assert sorted(listed) == sorted(path.stem for path in media)
    for path in media:
        found = predict(model, path)
        assert format_prediction(found) in printed
        events = [(round(e.onset, 3), round(e.offset, 3), e.label) for e in found.events]
        scores = [round(event.score, 4) for event in found.events]
        assert events  # or all of this would be empty
        written = json.loads((out / f"{path.name}.json").read_text("utf-8"))
        assert written["tags"] == list(found.tags)
        assert [tuple(event.values()) for event in written["events"]] == [
            (*event, score) for event, score in zip(events, scores, strict=True)
        ]
        assert [(e.onset, e.offset, e.label) for e in listed[path.stem].events or ()] == events
        labels = (out / f"{path.name}.txt").read_text("utf-8")
        assert labels == "".join(
            f"{event.onset:.6f}\t{event.offset:.6f}\t{event.label}\n" for event in found.events
        )
        assert written["frame_hop"] == FRAME_HOP
        for k, label in enumerate(CLASSES):
            frame_scores = written["frame_scores"][label]
            assert np.allclose(frame_scores, found.frame_scores[:, k], rtol=0.0, atol=6e-5)
            assert written["clip_scores"][label] == pytest.approx(found.clip_scores[k], abs=6e-5)
    assert max(event.onset for event in listed["long"].events or ()) > 10


def test_a_bad_file_is_named_and_keeps_no_other_from_being_scored(
    model_dir: Path,
    clip_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("bad.mp4").write_bytes(clip_path.read_bytes()[:2000])
    run_ffmpeg(["-i", str(clip_path), "-c", "copy", "-an", "silent.mp4"])
    files = ("bad.mp4", "absent.mp4", clip_path, "silent.mp4")
    assert run_avsed(monkeypatch, "predict", *files, "--model", model_dir, "--out", "out") == 1
    said = capsys.readouterr()
    assert f"{clip_path.name}: 4.0" in said.out
    *errors, summary = said.err.splitlines()
    assert [error.split(": ")[:2] for error in errors] == [
        ["error", "bad.mp4"],
        ["error", "absent.mp4"],
        ["error", "silent.mp4"],
    ]
    assert "has no audio, but the model needs spectral features; take a file" in errors[2]
    assert summary == "3 of 4 files could not be scored"
    assert Path("out", f"{clip_path.name}.json").exists()
    assert Path("out", "events.tsv").read_text().count("\n") >= 2


def test_a_name_that_a_list_cannot_hold_is_refused_before_anything_is_scored(
    model_dir: Path,
    clip_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("a\tb.mp4").symlink_to(clip_path)
    files = (clip_path, "a\tb.mp4")
    assert run_avsed(monkeypatch, "predict", *files, "--model", model_dir, "--out", "out") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: 'a\\tb.mp4': lists cannot contain tabs")
    assert not Path("out").exists()


def test_a_file_without_tags_and_events_says_so(tmp_path: Path) -> None:
    found = Prediction(
        path=tmp_path / "still.wav",
        has_audio=True,
        has_video=False,
        duration=12.0,
        classes=("Cat", "Dog"),
        frame_scores=np.zeros((182, 2), np.float32),
        clip_scores=np.array([0.125, 0.25], np.float32),
        tags=(),
        events=(),
        warning="",
    )
    assert format_prediction(found) == "still.wav: 12.00 s\n  tags: none (highest: Dog 0.25)"


def test_tags_and_events_are_printed_in_columns(tmp_path: Path) -> None:
    found = Prediction(
        path=tmp_path / "dog.wav",
        has_audio=True,
        has_video=False,
        duration=3605.5,
        classes=("Cat", "Dog"),
        frame_scores=np.zeros((10, 2), np.float32),
        clip_scores=np.array([0.125, 0.75], np.float32),
        tags=("Dog",),
        events=(DetectedEvent(onset=1.0, offset=3601.25, label="Dog", score=0.8),),
        warning="",
    )
    assert format_prediction(found).splitlines() == [
        "dog.wav: 3605.50 s",
        "  tags: Dog 0.75",
        "      onset    offset  event",
        "       1.00   3601.25  Dog",
    ]


def test_files_may_stand_before_and_after_options(
    model_dir: Path,
    clip_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ("[a].mp4", "-b.mp4")
    for name in names:
        Path(name).symlink_to(clip_path)
    arguments = (names[0], "--model", model_dir, clip_path, "--", names[1])
    assert run_avsed(monkeypatch, "predict", *arguments) == 0
    printed = capsys.readouterr().out
    starts = [printed.index(f"{name}: 4.0") for name in (names[0], clip_path.name, names[1])]
    assert starts == sorted(starts)


@pytest.mark.slow
def test_a_plot_and_a_page_are_made_of_one_file(
    model_dir: Path, long_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ("--plot", "long.png", "--html", "pages/long.html")
    assert run_avsed(monkeypatch, "predict", long_path, "--model", model_dir, *made) == 0
    assert imread("long.png").shape[1] == 1200
    assert "<video" in Path("pages/long.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["b.wav", "--plot", "a.png"], "--plot and --html require a single file"),
        (["b.wav", "--html", "a.html"], "--plot and --html require a single file"),
        (
            ["else/a.wav", "--out", "out"],
            "a.wav: two files of this name would overwrite each other",
        ),
        (["--html", "a.wav"], "a.wav: is an input and would be overwritten; name another file"),
        (["--html", "else/../a.wav"], "else/../a.wav: is an input and would be overwritten"),
        (["--html", "spectral"], "spectral: cannot be written (is a folder); name a file in it"),
        (["--html", "file/a.html"], "file/a.html: cannot be written (File exists); name another"),
        (["--plot", "a.xyz"], "a.xyz: cannot be drawn (its extension names no format)"),
        (["--plot", "a"], "a: cannot be drawn (its extension names no format); name a .png"),
        (["--out", "file"], "Invalid value for '--out': Directory 'file' is a file (see"),
        (["--format", "csv"], "--format: needs a folder for the files; add --out FOLDER"),
        (["--format", "srt", "--out", "out"], "Invalid value for '--format': 'srt' is not one of"),
        (["--threshold", "1.5"], "--threshold: Input should be less than 1"),
        (["--median-filter-frames", "4"], "median_filter_frames is 4; a median filter needs an"),
        (["--max-gap", "-1"], "--max-gap: is -1.0; give a number from 0 on"),
        (["--min-event", "nan"], "--min-event: is nan; give a number from 0 on"),
        (["--weights", "visual=x.pth"], "--weights visual=...: "),
        (["--model", "nowhere"], "nowhere/model.json: missing or invalid"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(
    arguments: list[str],
    message: str,
    model_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("file").touch()
    assert run_avsed(monkeypatch, "predict", "--model", model_dir, "a.wav", *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message}") and said.count("\n") == 1


def test_a_model_whose_weights_were_cut_short_is_one_line(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = model_dir / "seeds" / "seed-01.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    assert run_avsed(monkeypatch, "predict", "a.wav", "--model", model_dir) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path}: not the weights of this model (")
    assert said.count("\n") == 1


def test_weights_without_a_kind_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run_avsed(monkeypatch, "predict", "a.wav", "--model", "any", "--weights", "vggish.pth") == 2
    )
    assert "Invalid value for '--weights': 'vggish.pth' is not KIND=PATH" in capsys.readouterr().err


def test_decisions_are_those_in_the_models_folder(
    model_dir: Path,
    clip_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def tags(*options: str) -> str:
        assert run_avsed(monkeypatch, "predict", clip_path, "--model", model_dir, *options) == 0
        return capsys.readouterr().out.splitlines()[1]

    # A params.yaml of another program changes nothing.
    Path("params.yaml").write_text("learning_rate: 0.1\n", "utf-8")
    assert "none" in tags()  # above 0.5
    low = fixed_decisions(CLASSES, Postprocess(threshold=0.01, median_filter_frames=7))
    write_decisions(low, model_dir)
    assert all(label in tags() for label in CLASSES)
    write_decisions(low.model_copy(update={"tags": {**low.tags, "Dog": 0.99}}), model_dir)
    assert "Dog" not in tags() and "Cat" in tags()
    assert "none" in tags("--threshold", "0.99")


def test_gaps_and_short_events_are_filtered_by_options_and_by_the_model(
    model_dir: Path, clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def events(*options: str) -> list[tuple[float, float, str]]:
        arguments: list[str | Path] = [clip_path, "--model", model_dir, "--out", "out", *options]
        assert run_avsed(monkeypatch, "predict", *arguments) == 0
        written = json.loads(Path("out", f"{clip_path.name}.json").read_text("utf-8"))["events"]
        return [(event["onset"], event["offset"], event["event_label"]) for event in written]

    unfiltered = ("--threshold", str(THRESHOLD), "--median-filter-frames", "1")
    found = events(*unfiltered)
    shortest = min(offset - onset for onset, offset, _ in found)
    kept = events(*unfiltered, "--min-event", str(shortest + 0.02))
    assert 0 < len(kept) < len(found) and set(kept) < set(found)
    joined = events(*unfiltered, "--max-gap", "10")
    assert len(joined) == len({label for _, _, label in found}) < len(found)
    decisions = fixed_decisions(CLASSES, Postprocess(threshold=THRESHOLD, median_filter_frames=1))
    write_decisions(decisions.model_copy(update={"max_gap": 10.0}), model_dir)
    assert events() == joined
    assert events("--max-gap", "0") == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "invalid (1 validation error for Decisions)"),
        (
            '{"median_filter_frames": 7, "tags": {"Cat": 0.5}, "events": {"Cat": 0.5}}',
            "invalid (its classes are not those of model.json)",
        ),
        (
            '{"median_filter_frames": {"Cat": 7}, "tags": {"Cat": 0.5, "Dog": 0.5, "Speech": 0.5}, '
            '"events": {"Cat": 0.5, "Dog": 0.5, "Speech": 0.5}}',
            "invalid (its classes are not those of model.json)",
        ),
    ],
)
def test_invalid_decisions_are_one_line(
    text: str,
    problem: str,
    model_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (model_dir / "decisions.json").write_text(text, "utf-8")
    assert run_avsed(monkeypatch, "predict", "a.wav", "--model", model_dir) == 2
    said = capsys.readouterr().err
    remedy = "run `dvc repro describe@spectral`"
    assert said == f"error: {model_dir}/decisions.json: {problem}; {remedy}\n"


def test_a_second_batch_into_one_folder_loses_nothing(
    model_dir: Path, clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict_into_out(*paths: Path) -> int:
        return run_avsed(monkeypatch, "predict", *paths, "--model", model_dir, "--out", "out")

    for name in ("a.mp4", "b.mp4"):
        shutil.copy(clip_path, name)
    for batch in (Path("a.mp4"),), (Path("b.mp4"), Path("a.mp4")):
        assert predict_into_out(*batch) == 0
    events = read_list_file(Path("out/events.tsv"), "test", CLASSES)
    assert [clip.clip_id for clip in events] == ["a", "b"]


def test_only_the_chosen_formats_are_written(
    model_dir: Path, clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(out: str, *formats: str) -> set[str]:
        options = [word for name in formats for word in ("--format", name)]
        arguments: list[str | Path] = [clip_path, "--model", model_dir, "--out", out, *options]
        assert run_avsed(monkeypatch, "predict", *arguments) == 0
        return {path.name for path in Path(out).iterdir()} - {"predicted.tsv"}

    name = clip_path.name
    assert written("default") == {"events.tsv", f"{name}.json", f"{name}.txt"}
    everything = ("tsv", "csv", "json", "audacity", "raven", "textgrid", "webvtt")
    assert written("all", *everything) == {
        *("events.tsv", "events.csv", f"{name}.json", f"{name}.txt"),
        *(f"{name}.selections.txt", f"{name}.TextGrid", f"{name}.vtt"),
    }
    assert written("one", "webvtt", "webvtt") == {f"{name}.vtt"}


def test_results_of_another_file_of_the_same_name_are_kept(
    model_dir: Path,
    clip_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for folder in ("first", "second"):
        Path(folder).mkdir()
        shutil.copy(clip_path, f"{folder}/a.mp4")
    arguments = ("--model", model_dir, "--out", "out")
    assert run_avsed(monkeypatch, "predict", "first/a.mp4", *arguments) == 0
    before = Path("out/a.mp4.json").read_bytes()
    capsys.readouterr()
    assert run_avsed(monkeypatch, "predict", "second/a.mp4", *arguments) == 2
    first = Path("first/a.mp4").resolve()
    assert capsys.readouterr().err == (
        f"error: second/a.mp4: out has the results of {first}, which would be lost; name another "
        "--out\n"
    )
    assert Path("out/a.mp4.json").read_bytes() == before


def test_a_list_of_another_program_is_not_overwritten(
    model_dir: Path,
    clip_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("out").mkdir()
    Path("out/events.tsv").write_text("Begin Time (s)\n", "utf-8")
    arguments = ("--model", model_dir, "--out", "out")
    assert run_avsed(monkeypatch, "predict", clip_path, *arguments) == 2
    assert capsys.readouterr().err.startswith("error: out/events.tsv: is no list of avsed")
    assert Path("out/events.tsv").read_text("utf-8") == "Begin Time (s)\n"


def test_a_folder_is_taken_whole_and_its_files_keep_their_places(
    model_dir: Path,
    clip_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("rec/a.mp4", "rec/day 2/a.mp4", "rec/.trash/b.mp4", "rec/notes.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip_path, name)
    assert run_avsed(monkeypatch, "predict", "rec", "--model", model_dir, "--out", "out") == 0
    printed = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert printed == ["a.mp4: 4.00 s", "day 2/a.mp4: 4.00 s"]
    events = Path("out/events.tsv").read_text("utf-8").splitlines()[1:]
    assert {line.partition("\t")[0] for line in events} == {"a.mp4", "day 2/a.mp4"}
    assert json.loads(Path("out/day 2/a.mp4.json").read_text("utf-8"))["filename"] == "day 2/a.mp4"


def test_a_folder_without_media_is_one_line(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("rec").mkdir()
    Path("rec/notes.txt").touch()
    assert run_avsed(monkeypatch, "predict", "rec", "--model", model_dir) == 2
    assert capsys.readouterr().err == (
        "error: rec: contains no files with an extension of media; name the files themselves if "
        "theirs are unusual\n"
    )


def test_the_same_command_continues_what_was_stopped(
    model_dir: Path,
    clip_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def predicted(*options: str) -> list[str]:
        arguments: list[str | Path] = ["rec", "--model", model_dir, "--out", "out", *options]
        assert run_avsed(monkeypatch, "predict", *arguments) == 0
        lines = capsys.readouterr().out.splitlines()
        return [line.partition(":")[0] for line in lines if ".mp4: " in line]

    Path("rec").mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(clip_path, Path("rec", name))
    assert predicted() == ["a.mp4", "b.mp4"]
    before = Path("out/events.tsv").read_bytes()
    shutil.copy(clip_path, "rec/c.mp4")
    assert predicted() == ["c.mp4"]
    assert Path("out/events.tsv").read_bytes().startswith(before)
    assert predicted() == []
    Path("out/b.mp4.json").unlink()
    assert predicted() == ["b.mp4"]
    os.utime("rec/a.mp4", ns=(0, 0))
    assert predicted() == ["a.mp4"]
    assert predicted("--format", "raven") == ["a.mp4", "b.mp4", "c.mp4"]
    assert predicted("--threshold", "0.4") == ["a.mp4", "b.mp4", "c.mp4"]


def test_files_predicted_at_once_have_the_scores_of_each_alone(
    model_dir: Path, clip_path: Path, long_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(model_dir, {})
    monkeypatch.setattr("avsed.prediction.many.count_cores", lambda: 3)
    files = find_media_files([clip_path, Path("absent.wav"), long_path, clip_path])
    found = list(predict_many(model, files))
    assert str(found.pop(1)) == "absent.wav: no such file"
    for prediction, path in zip(found, (clip_path, long_path, clip_path), strict=True):
        assert isinstance(prediction, Prediction)
        alone = predict(model, path)
        assert prediction.path == path
        assert np.array_equal(prediction.frame_scores, alone.frame_scores)
        assert np.array_equal(prediction.clip_scores, alone.clip_scores)
