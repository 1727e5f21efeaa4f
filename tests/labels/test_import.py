"""`avsed metadata import`: which list recordings go to, and what it reports."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from avsed.config import load_params
from avsed.labels.lists import format_classes
from tests.conftest import run_avsed
from tests.helpers.user_folder import write_set_up
from tests.labels import files

Run = tuple[int, str, str]


class Imports:
    """Runs the command in a folder."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.chdir(folder)

    def run(self, name: str, content: str, *options: str) -> Run:
        """Write a file and import it; return the exit status and what was printed."""
        Path(name).write_text(content)
        arguments = ("metadata", "import", name, "--out", "lists", *options)
        status = run_avsed(self._monkeypatch, *arguments)
        return (status, *self._capsys.readouterr())

    def lists(self) -> dict[str, list[str]]:
        """Return the rows of each list without its header."""
        return {
            path.stem: path.read_text("utf-8").splitlines()[1:]
            for path in sorted(Path("lists").glob("*.tsv"))
        }


@pytest.fixture
def imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Imports:
    return Imports(tmp_path, monkeypatch, capsys)


def test_desed_fills_the_lists_file_by_file(imports: Imports) -> None:
    assert imports.run("weak.tsv", files.DESED_WEAK)[0] == 0
    assert imports.run("unlabel_in_domain.tsv", files.DESED_UNLABELED)[0] == 0
    assert imports.run("soundscapes.tsv", files.DESED_STRONG, "--as", "strong")[0] == 0
    rows = "filename\tonset\toffset\tevent_label\nv.wav\t0\t1.0005\tDog\n"
    assert imports.run("validation.csv", rows, "--as", "validation")[0] == 0
    assert imports.lists() == {
        "strong": [
            "12.wav\t0.250\t2.500\tDog",
            "12.wav\t1.500\t3.750\tSpeech",
            "13.wav\t\t\t",
        ],
        "unlabeled": ["Y5J603SAj7QM_210.000_220.000.wav"],
        "validation": ["v.wav\t0.000\t1.0005\tDog"],
        "weak": [
            "Y00pbt6aJV8Y_350.000_360.000.wav\tDog,Speech",
            "Y-0CamVQdPRc_29.000_39.000.wav\tCat",
        ],
    }
    assert Path("lists/classes.yaml").read_text() == (
        "dataset:\n  source: local\n  classes: [Cat, Dog, Speech]\n"
    )


def test_events_need_a_choice_of_list(imports: Imports) -> None:
    status, _, err = imports.run("street.txt", files.AUDACITY)
    assert status == 2
    assert err.count("\n") == 1
    assert "choose --as strong, --as validation or --as test" in err
    assert not Path("lists").exists()


def test_recordings_that_nobody_annotated_are_not_taken_for_silent_ones(imports: Imports) -> None:
    status, _, err = imports.run("project.json", files.LABEL_STUDIO, "--as", "validation")
    assert status == 0
    assert imports.lists() == {
        "unlabeled": ["b.wav"],
        "validation": [
            "street 1.wav\t0.500\t1.250\tBark",
            "street 1.wav\t0.500\t1.250\tDog",
            "c.wav\t\t\t",
        ],
    }
    assert "changed recordings that nobody annotated to unlabeled clips: 1 (b.flac)" in err
    assert "dropped labels of the whole recording in a list of events: 1 (street 1: Outd" in err


def test_what_was_dropped_is_counted_with_examples(imports: Imports) -> None:
    track = (
        files.AUDACITY + "0.5\t1.25\tDog\n9\t10\tBurping, eructation\n-1\t0.5\tFox\n1\t2\tnone\n"
    )
    status, out, err = imports.run("street.wav.txt", track, "--as", "test")
    assert status == 0
    assert imports.lists()["test"] == [
        "street.wav\t0.000\t0.500\tFox",
        "street.wav\t0.500\t1.250\tDog",
        'street.wav\t2.000\t3.000\tCat "Tom"',
        "street.wav\t5.000\t6.500\tDog",
        "street.wav\t9.000\t10.000\tBurping eructation",
    ]
    for line in (
        "dropped empty labels: 1 (street at 7 s)",
        "dropped events that do not end after their start: 1 (street at 4 s: click)",
        "dropped repeated labels: 1 (street at 0.5 s: Dog)",
        "changed labels with a comma, written without it: 1 (Burping, eructation -> Burping "
        "eructation)",
        "changed events that start before the recording, cut at 0 s: 1 (street at -1 s: Fox)",
        "dropped labels that cannot be a class: 1 ('none' cannot be a class: it is read by "
        "sed_eval as a missing label; rename the class)",
    ):
        assert f"warning: {line}" in err.splitlines()
    assert out.splitlines()[0] == "lists/test.tsv: 1 clip, 1 new"


def test_events_past_the_end_of_the_media_are_cut_or_dropped(imports: Imports) -> None:
    Path("media").mkdir()
    soundfile.write("media/street.flac", np.zeros(6 * 8000, np.float32), 8000)
    status, _, err = imports.run("street.txt", files.AUDACITY, "--as", "test", "--media", "media")
    assert status == 0
    assert imports.lists()["test"][-1] == "street.wav\t5.000\t6.000\tDog"
    assert "changed events that end after the recording, cut at its end: 1" in err


def test_recordings_are_named_like_their_media(imports: Imports) -> None:
    Path("media").mkdir()
    soundfile.write("media/-0BIyqJj9ZU_000030.wav", np.zeros(8000, np.float32), 8000)
    status, _, err = imports.run("vggsound.csv", files.VGGSOUND, "--media", "media")
    assert status == 0
    assert imports.lists() == {
        "test": ["Y---g-f_I2yQ_1.000_11.000.wav\t0.000\t10.000\tpeople marching"],
        "weak": ["-0BIyqJj9ZU_000030.wav\trace car auto racing"],
    }
    assert "kept recordings without media in media: 1 (Y---g-f_I2yQ_1.000_11.000)" in err


def test_folds_go_to_the_lists_of_the_options(imports: Imports) -> None:
    folds = files.ESC50 + "4-1-A-1.wav,4,1,rooster,False,1,A\n"
    options = ("--validation-folds", "4", "--test-folds", "5")
    status, _, err = imports.run("esc50.csv", folds, *options)
    assert status == 0
    assert imports.lists() == {
        "test": ["5-9032-A-0.wav\t0.000\t5.000\tchirping_birds"],
        "validation": ["4-1-A-1.wav\t0.000\t5.000\trooster"],
        "weak": ["1-100032-A-0.wav\tdog"],
    }
    assert "so that only the clip scores are meaningful: 2" in err
    status, _, err = imports.run("esc50.csv", folds, "--test-folds", "4,6", "--add")
    assert (status, "has no fold 6 (its folds: 1, 4, 5)" in err) == (2, True)
    status, _, err = imports.run("esc50.csv", folds, "--test-folds", "4", "--validation-folds", "4")
    assert (status, "fold 4 is for validation and for testing" in err) == (2, True)


def test_a_data_sets_own_splits_are_used(imports: Imports) -> None:
    assert imports.run("dev.csv", files.FSD50K_DEV)[0] == 0
    assert imports.run("eval.csv", files.FSD50K_EVAL)[0] == 0
    lists = imports.lists()
    assert lists["weak"] == ["64760.wav\tElectric_guitar,Guitar"]
    assert {name: len(lists[name]) for name in ("validation", "test")} == {
        "validation": 1,
        "test": 2,
    }


def test_lists_are_not_overwritten_but_added_to_on_request(imports: Imports) -> None:
    imports.run("weak.tsv", files.DESED_WEAK)
    status, _, err = imports.run("more.tsv", "filename\tevent_labels\nnew.wav\tFox\n")
    assert status == 2
    assert err == "error: lists/weak.tsv: exists; use --add to add to it, or another --out\n"
    more = files.DESED_WEAK + "new.wav\tFox\n"
    status, out, err = imports.run("more.tsv", more, "--add")
    assert status == 0
    assert "dropped clips that weak.tsv lists already: 2" in err
    assert "lists/weak.tsv: 3 clips, 1 new" in out
    assert imports.lists()["weak"][2] == "new.wav\tFox"


def test_a_clip_in_two_lists_is_an_error_and_writes_nothing(imports: Imports) -> None:
    imports.run("weak.tsv", files.DESED_WEAK)
    status, _, err = imports.run("weak.tsv", files.DESED_WEAK, "--as", "validation")
    assert status == 2
    assert "and 1 more would be in weak.tsv and in validation.tsv" in err
    assert list(imports.lists()) == ["weak"]


def test_recordings_of_one_name_in_two_folders_are_an_error(imports: Imports) -> None:
    rows = "filename\tevent_labels\nhome/1.wav\tDog\nstreet/1.wav\tCar\n"
    status, _, err = imports.run("weak.tsv", rows)
    assert status == 2
    assert "home/1.wav and street/1.wav would be one clip, because lists have no folders" in err


def test_names_that_cannot_be_in_a_list_are_dropped(imports: Imports) -> None:
    rows = "filename\tevent_labels\nhöhe.wav\tDog\na (1).wav\tDog\nsub/b.wav\tDog\n"
    status, _, err = imports.run("weak.tsv", rows)
    assert status == 0
    assert imports.lists()["weak"] == ["b.wav\tDog"]
    assert "whose file name cannot be in a list: 2 (höhe.wav, a (1).wav)" in err


def test_nothing_to_import_is_an_error_with_the_reasons(imports: Imports) -> None:
    status, _, err = imports.run("weak.tsv", "filename\tevent_labels\na.wav\t\n")
    assert status == 2
    assert "has no recording for a list (dropped empty labels: 1 (a)" in err


def test_an_unknown_format_name_is_one_line(imports: Imports) -> None:
    status, _, err = imports.run("weak.tsv", files.DESED_WEAK, "--format", "excel")
    assert status == 2
    assert err.startswith("error: --format excel: is not one of textgrid, eaf, jams,")


def test_imported_lists_pass_the_check(
    imports: Imports, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    imports.run("weak.tsv", files.DESED_WEAK)
    imports.run("unlabeled.tsv", files.DESED_UNLABELED)
    imports.run("wood.Table.1.selections.txt", files.RAVEN, "--as", "validation")
    imports.run("talk.TextGrid", files.TEXTGRID, "--as", "test")
    assert run_avsed(monkeypatch, "metadata", "check", "lists") == 0
    assert "0 errors" in capsys.readouterr().out


def test_the_classes_can_be_pasted_into_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["Dog", "yes", "12", "a: b", "x #y", "[z]", "it's", 'say "hi"', "Höhe"]
    monkeypatch.chdir(tmp_path)
    write_set_up(tmp_path, "local")
    profile = Path("profiles/local.yaml")
    lines = profile.read_text("utf-8").splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if line.startswith("dataset:"))
    profile.write_text("".join(lines[:first]) + format_classes(names) + "".join(lines[first + 3 :]))
    dataset = load_params().dataset
    assert dataset.source == "local"
    assert list(dataset.classes) == names
