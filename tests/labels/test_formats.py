"""The readers of labels, each held against a file written by hand."""

from pathlib import Path

import pytest

from avsed.errors import AvsedError
from avsed.labels.formats import NAMES_OF_FORMATS, read_labels
from avsed.labels.readers.audioset import AudiosetNames
from avsed.labels.recordings import Label, ReadOptions, Recording, Remarks
from tests.labels import files


def read(
    path: Path, content: str | bytes, options: ReadOptions | None = None
) -> tuple[list[Recording], dict[str, int]]:
    """Write a file, recognize and read it; return its recordings, and counts by reason."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    remarks = Remarks()
    return read_labels(path, None, options or ReadOptions(), remarks), remarks.counts


def events(recording: Recording) -> list[tuple[float | None, float | None, str]]:
    return [(label.onset, label.offset, label.text) for label in recording.labels]


def name_of(recording: Recording) -> str:
    return Path(recording.name).name


def tags(*texts: str) -> tuple[Label, ...]:
    return tuple(Label(text=text) for text in texts)


def test_desed_weak_lists(tmp_path: Path) -> None:
    recordings, counts = read(tmp_path / "weak.csv", files.DESED_WEAK)
    assert recordings == [
        Recording(name="Y00pbt6aJV8Y_350.000_360.000.wav", labels=tags("Dog", "Speech")),
        Recording(name="Y-0CamVQdPRc_29.000_39.000.wav", labels=tags("Cat")),
    ]
    assert not counts


def test_desed_unlabeled_lists(tmp_path: Path) -> None:
    (recording,), _ = read(tmp_path / "unlabel_in_domain.tsv", files.DESED_UNLABELED)
    assert name_of(recording) == "Y5J603SAj7QM_210.000_220.000.wav"
    assert not recording.is_annotated


def test_desed_strong_lists_with_columns_in_another_order(tmp_path: Path) -> None:
    recordings, counts = read(tmp_path / "soundscapes.tsv", files.DESED_STRONG)
    assert [recording.name for recording in recordings] == ["12.wav", "13.wav"]
    assert events(recordings[0]) == [(0.25, 2.5, "Dog"), (1.5, 3.75, "Speech")]
    assert recordings[1] == Recording(name="13.wav")
    assert counts == {"dropped rows that cannot be read": 2}


def test_a_lone_quotation_mark_takes_no_further_rows(tmp_path: Path) -> None:
    content = 'filename,event_labels\na.wav,"Dog\nb.wav,Cat\n'
    recordings, counts = read(tmp_path / "weak.csv", content)
    assert recordings == [Recording(name="b.wav", labels=tags("Cat"))]
    assert counts == {"dropped rows that cannot be read": 1}


@pytest.fixture
def with_names() -> ReadOptions:
    names = dict(line.split("\t") for line in files.MID_NAMES.splitlines())
    return ReadOptions(name_of_mid=lambda mid: names.get(mid, ""))


def test_audiosets_segments(tmp_path: Path, with_names: ReadOptions) -> None:
    recordings, counts = read(tmp_path / "segments.csv", files.AUDIOSET, with_names)
    first, second = recordings
    assert first.name == "Y--PJHxphWEs_30.000_40.000"
    assert first.labels == tags("Speech", "Gush")
    assert {"--PJHxphWEs_30_40", "--PJHxphWEs_30000", "--PJHxphWEs"} <= set(first.aliases)
    assert second.name == "Y--aE2O5G5WE_0.000_7.500"
    assert second.duration == 7.5
    assert second.labels == tags("Goat")
    ((reason, count),) = counts.items()
    assert "unknown mid" in reason
    assert count == 1


def test_audiosets_strong_labels(tmp_path: Path, with_names: ReadOptions) -> None:
    recordings, counts = read(tmp_path / "strong.tsv", files.AUDIOSET_STRONG, with_names)
    assert [recording.name for recording in recordings] == [
        "Yb0RFKhbpFJA_30.000_40.000",
        "Y-_abc-_def__0.000_10.000",
    ]
    assert events(recordings[0]) == [
        (0.0, 10.0, "Wind"),
        (4.753, 5.72, "Male speech, man speaking"),
    ]
    assert not counts


def test_sounds_that_are_not_present_are_no_labels(tmp_path: Path, with_names: ReadOptions) -> None:
    (recording,), counts = read(tmp_path / "framed.tsv", files.AUDIOSET_FRAMED, with_names)
    assert events(recording) == [(0.0, 0.96, "Male speech, man speaking")]
    assert counts == {"dropped rows of sounds marked as not present": 1}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("class_labels_indices.csv", 'index,mid,display_name\n0,/m/05zppz,"Male speech, man"\n'),
        ("ontology.json", '[{"id": "/m/05zppz", "name": "Male speech, man", "child_ids": []}]'),
        ("mid_to_display_name.tsv", "/m/05zppz\tMale speech, man\n"),
    ],
)
def test_names_of_mids_are_read_from_audiosets_files(
    tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    assert AudiosetNames([tmp_path / name]).name_of("/m/05zppz") == "Male speech, man"


def test_yamnets_map_has_the_names_of_other_mids() -> None:
    names = AudiosetNames()
    assert names.name_of("/m/09x0r") == "Speech"
    assert names.name_of("/m/unknown") == ""


def test_a_file_without_mids_has_no_names(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("a,b\n")
    with pytest.raises(AvsedError, match="has no names of mids; give AudioSet's ontology"):
        AudiosetNames([tmp_path / "names.csv"])


def test_fsd50k_has_its_own_splits(tmp_path: Path) -> None:
    recordings, _ = read(tmp_path / "dev.csv", files.FSD50K_DEV)
    assert recordings == [
        Recording(name="64760", labels=tags("Electric_guitar", "Guitar"), split="train"),
        Recording(name="21914", labels=tags("Bark"), split="validation"),
    ]
    recordings, _ = read(tmp_path / "eval.csv", files.FSD50K_EVAL)
    assert recordings == [Recording(name="37199", labels=tags("Bark", "Dog"), split="test")]


def test_urbansound8k_has_folds_and_no_times_in_the_clip(tmp_path: Path) -> None:
    recordings, _ = read(tmp_path / "UrbanSound8K.csv", files.URBANSOUND8K)
    assert recordings == [
        Recording(name="100032-3-0-0.wav", labels=tags("dog_bark"), duration=2.75, fold="5"),
        Recording(
            name="100263-2-0-117.wav", labels=tags("children_playing"), duration=4.0, fold="10"
        ),
    ]


def test_esc50_has_folds(tmp_path: Path) -> None:
    recordings, _ = read(tmp_path / "esc50.csv", files.ESC50)
    assert recordings == [
        Recording(name="1-100032-A-0.wav", labels=tags("dog"), duration=5.0, fold="1"),
        Recording(name="5-9032-A-0.wav", labels=tags("chirping_birds"), duration=5.0, fold="5"),
    ]


def test_vggsound_has_splits(tmp_path: Path) -> None:
    recordings, _ = read(tmp_path / "vggsound.csv", files.VGGSOUND)
    assert [(one.name, one.labels, one.split) for one in recordings] == [
        ("Y---g-f_I2yQ_1.000_11.000", tags("people marching"), "test"),
        ("Y-0BIyqJj9ZU_30.000_40.000", tags("race car, auto racing"), "train"),
    ]
    assert "-0BIyqJj9ZU_000030" in recordings[1].aliases


def test_audacitys_label_tracks(tmp_path: Path) -> None:
    (recording,), counts = read(tmp_path / "street.wav.txt", files.AUDACITY)
    assert name_of(recording) == "street.wav"
    assert events(recording) == [
        (0.5, 1.25, "Dog"),
        (2.0, 3.0, 'Cat "Tom"'),
        (4.0, 4.0, "click"),
        (5.0, 6.5, "Dog"),
        (7.0, 8.0, ""),
    ]
    assert not counts


def test_a_selection_of_raven_counts_once_for_all_its_views(tmp_path: Path) -> None:
    (recording,), _ = read(tmp_path / "wood.Table.1.selections.txt", files.RAVEN)
    assert name_of(recording) == "wood"
    assert events(recording) == [(0.25, 1.5, "Owl"), (3.0, 3.5, "Fox")]


def test_times_in_a_sequence_of_files_are_those_in_each_file(tmp_path: Path) -> None:
    recordings, _ = read(tmp_path / "all.txt", files.RAVEN_SEQUENCE)
    assert [(one.name, events(one)) for one in recordings] == [
        ("a.wav", [(10.0, 12.0, "Owl")]),
        ("b.wav", [(1.5, 2.0, "Owl")]),
    ]


def test_a_sequence_without_offsets_is_an_error(tmp_path: Path) -> None:
    content = files.RAVEN_SEQUENCE.replace("File Offset (s)", "Offset")
    with pytest.raises(AvsedError, match=r"lists 2 sound files without their offsets"):
        read(tmp_path / "all.txt", content)


def test_ravens_column_of_labels_is_found_or_named(tmp_path: Path) -> None:
    content = files.RAVEN.replace("Species", "Who")
    with pytest.raises(AvsedError, match="has no column of labels; name one of Selection, View,"):
        read(tmp_path / "wood.txt", content)
    (recording,), _ = read(tmp_path / "wood.txt", content, ReadOptions(label_column="Who"))
    assert events(recording)[1] == (3.0, 3.5, "Fox")


@pytest.mark.parametrize(
    "content",
    [
        *(text.encode("utf-8") for text in (files.TEXTGRID, files.TEXTGRID_SHORT)),
        files.TEXTGRID.encode("utf-16"),
        files.TEXTGRID.encode("latin-1"),
        files.TEXTGRID.replace("\n", " \r\n").encode("utf-8-sig"),  # Praat writes such blanks
    ],
)
def test_praats_textgrids(tmp_path: Path, content: bytes) -> None:
    (recording,), counts = read(tmp_path / "talk.TextGrid", content)
    assert (name_of(recording), recording.duration) == ("talk", 4.0)
    assert events(recording) == [
        (0.5, 1.25, 'dog "Rex" 2'),
        (1.25, 2.0, "intervals [9]:"),
        (2.0, 4.0, "höhe"),
    ]
    assert counts == {"dropped points, which have no duration": 1}


def test_tiers_can_be_chosen(tmp_path: Path) -> None:
    _, counts = read(tmp_path / "a.TextGrid", files.TEXTGRID, ReadOptions(tiers=("sounds",)))
    assert not counts
    with pytest.raises(AvsedError, match="has no tier x; its tiers are sounds, clicks"):
        read(tmp_path / "a.TextGrid", files.TEXTGRID, ReadOptions(tiers=("x",)))
    (recording,), _ = read(tmp_path / "a.eaf", files.EAF, ReadOptions(tiers=("quality",)))
    assert events(recording) == [(2.5, 3.5, "loud")]


@pytest.mark.parametrize("content", [b"ooBinaryFile\x08TextGrid", files.TEXTGRID[:500].encode()])
def test_binary_and_truncated_textgrids_are_errors(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(AvsedError, match="is not a complete TextGrid in text format"):
        read(tmp_path / "a.TextGrid", content)


def test_elans_annotations(tmp_path: Path) -> None:
    (recording,), counts = read(tmp_path / "notes.eaf", files.EAF)
    assert recording.name == "main street"
    # The annotations begin 2 s after the media.
    assert events(recording) == [(2.5, 3.5, "Dog & cat"), (2.5, 3.5, "loud")]
    assert list(counts.values()) == [1]


def test_elans_files_expand_no_entities(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match="declares a document type, which ELAN does not write"):
        read(tmp_path / "a.eaf", files.ENTITIES)


def test_scapers_soundscapes(tmp_path: Path) -> None:
    (recording,), counts = read(tmp_path / "scape_1.jams", files.SCAPER)
    assert (name_of(recording), recording.duration) == ("scape_1", 10.0)
    assert events(recording) == [(2.25, 3.75, "siren")]
    assert counts == {"dropped backgrounds of Scaper": 1}


def test_jams_with_columns_and_tags(tmp_path: Path) -> None:
    (recording,), counts = read(tmp_path / "a.jams", files.JAMS)
    assert events(recording) == [(0.5, 1.5, "dog"), (3.0, 3.25, "cat"), (None, None, "park")]
    assert counts == {"dropped annotations that are not of sounds, by namespace": 1}


def test_label_studios_export(tmp_path: Path) -> None:
    recordings, counts = read(tmp_path / "project.json", files.LABEL_STUDIO)
    assert [(one.name, one.is_annotated, one.duration) for one in recordings] == [
        ("street 1.wav", True, 12.5),
        ("b.flac", False, None),
        ("c.wav", True, None),
    ]
    assert events(recordings[0]) == [
        (0.5, 1.25, "Dog"),
        (0.5, 1.25, "Bark"),
        (2.0, 3.0, ""),
        (None, None, "Outdoors"),
    ]
    assert counts == {
        "dropped skipped annotations": 1,
        "dropped further annotations of a recording": 1,
        "dropped results other than labels and choices, by type": 1,
    }


def test_json_min_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match="export the project as JSON, not as JSON-MIN"):
        read(tmp_path / "min.json", '[{"audio": "a.wav", "label": [{"start": 0, "end": 1}]}]')


@pytest.mark.parametrize("content", ["", "dear diary\n", "a,b\n1,2\n", "\x00\x01"])
def test_an_unknown_format_is_one_line_that_lists_the_formats(tmp_path: Path, content: str) -> None:
    with pytest.raises(AvsedError, match="not recognized; name it with --format") as raised:
        read(tmp_path / "labels.txt", content)
    assert all(name in str(raised.value) for name in NAMES_OF_FORMATS)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", NAMES_OF_FORMATS)
@pytest.mark.parametrize("content", ["", "dear diary\n", "[1]", '{"a": 1}', "1\t2\n"])
def test_a_file_of_another_format_than_the_named_one_is_an_error_or_empty(
    tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(content)
    try:
        recordings = read_labels(path, name, ReadOptions(), Remarks())
    except AvsedError:
        return
    assert not any(label.text for one in recordings for label in one.labels)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match="no such file; name the file with the labels"):
        read_labels(tmp_path / "absent.csv", None, ReadOptions(), Remarks())
