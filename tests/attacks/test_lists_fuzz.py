"""Arbitrary lists, tables, names and parameters: read exactly, or refused in one helpful line.

Each property is held by a few derandomized examples a day, and by thousands under `attack`;
hypothesis prints the example that breaks one.
"""

import codecs
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from avsed.config import load_params
from avsed.dataset.annotations import (
    SPLITS,
    STRONG_SPLITS,
    AnnotatedClip,
    Event,
    list_path,
    read_classes,
    read_list,
    write_classes,
    write_list,
)
from avsed.dataset.clips import ClipRecord, read_clips, write_clips
from avsed.errors import AvsedError
from avsed.framing import CLIP_DURATION
from avsed.params import Local, LocalDataset
from avsed.sources.check_lists import check_metadata, format_check
from avsed.sources.prepare import prepare_lists
from tests.conftest import ROOT

CLASSES = ("Cat", "Dog", 'a "class" of two words', "Käse 🧀")
HEADERS = {
    "weak": "filename\tevent_labels",
    "unlabeled": "filename",
    "validation": "filename\tonset\toffset\tevent_label",
    "test": "filename\tonset\toffset\tevent_label",
}
# What breaks readers that trust: names, numbers, separators, encodings.
HOSTILE = (
    *(
        b"../",
        b"/etc/passwd",
        b"\\",
        b"\0",
        b"-",
        b"%",
        b'"',
        b"'",
        b"http://a",
        b"concat:",
        b"pipe:",
    ),
    *(
        b"\t",
        b"\t\t",
        b"\n",
        b"\r",
        b"\r\n",
        b"\x0b",
        b"\x1c",
        b"\x85",
        b",",
        b",,",
        b" ",
        b"_",
        b".",
    ),
    *("\u2028\u202e\u200b\ufeffe\u0301é🧀".encode(), b"\xff", b"\xed\xa0\x80", codecs.BOM_UTF16_LE),
    *(b"nan", b"inf", b"-1", b"-0", b"1e308", b"1e999", b"1_0", b"1,5", b"\xd9\xa1", b"none"),
    *(b"x" * 300, b"a.wav", b"ok", b"failed", b"0", b"1"),
)

ATTACK = (pytest.mark.attack, pytest.mark.slow)
few_or_many = pytest.mark.parametrize("n_examples", [15, pytest.param(150, marks=ATTACK)])


def hold(holds: Callable[..., None], n_examples: int, *examples: SearchStrategy[Any]) -> None:
    """Test a property on the same random examples each time."""
    chosen = settings(
        max_examples=n_examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    chosen(given(*examples)(holds))()


def is_class(name: str) -> bool:
    try:
        LocalDataset(source="local", classes=(name,))
    except ValueError:
        return False
    return True


class_names = st.lists(
    st.text(max_size=8).filter(is_class), min_size=1, max_size=5, unique=True
).map(tuple)
clip_ids = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9_. -]{0,30}", fullmatch=True)
seconds = st.floats(min_value=0, max_value=1e308) | st.integers(0, 12_000).map(lambda n: n / 1000)


@st.composite
def events(draw: st.DrawFn, classes: tuple[str, ...]) -> Event:
    onset, offset = sorted(draw(st.lists(seconds, min_size=2, max_size=2, unique=True)))
    return Event(onset=onset, offset=offset, label=draw(st.sampled_from(classes)))


@st.composite
def data_sets(draw: st.DrawFn) -> tuple[tuple[str, ...], dict[str, list[AnnotatedClip]]]:
    """Draw a vocabulary and clips for four or five lists, none of which share one."""
    classes = draw(class_names)
    names = draw(st.lists(clip_ids, min_size=4, max_size=10, unique=True))
    lists: dict[str, list[AnnotatedClip]] = {split: [] for split in SPLITS}
    for number, name in enumerate(names):
        split = SPLITS[number % len(SPLITS)]
        clip = AnnotatedClip(clip_id=name)
        if split == "weak":
            tags = draw(st.sets(st.sampled_from(classes), min_size=1))
            clip = replace(clip, tags=tuple(sorted(tags)))
        elif split in STRONG_SPLITS:
            found = draw(st.lists(events(classes), max_size=4, unique=True))
            if number < len(SPLITS):  # a list without any event is refused
                found = list({*found, Event(onset=0.0, offset=1.0, label=classes[0])})
            found.sort(key=lambda event: (event.onset, event.label))
            tags = {event.label for event in found}
            clip = replace(clip, tags=tuple(sorted(tags)), events=tuple(found))
        lists[split].append(clip)
    return classes, lists


@st.composite
def spoiled(draw: st.DrawFn, text: bytes) -> bytes:
    """Draw a damaged file, or arbitrary bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    for _ in range(draw(st.integers(1, 4))):
        start, stop = sorted(draw(st.integers(0, len(text))) for _ in range(2))
        new = draw(st.sampled_from(HOSTILE) | st.just(b"") | st.just(text[start:stop] * 2))
        text = text[:start] + new + text[draw(st.sampled_from([start, stop])) :]
    return draw(st.sampled_from([text, text, text, codecs.BOM_UTF8 + text, text.rstrip()]))


def warning(error: AvsedError, *begins_with: Path) -> str:
    """Return a message, which must be one short line that starts with the file."""
    text = str(error)
    assert any(text.startswith(str(path)) for path in begins_with), text
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", text), text
    assert len(text) < 1000 + len(str(begins_with)), text
    return text


@few_or_many
def test_what_is_written_is_read_whatever_the_editor_made_of_it(
    tmp_path: Path, n_examples: int
) -> None:
    def holds(
        data_set: tuple[tuple[str, ...], dict[str, list[AnnotatedClip]]], end: str, bom: bool
    ) -> None:
        classes, lists = data_set
        write_classes(tmp_path, classes)
        for split in SPLITS:
            write_list(tmp_path, split, lists[split])
        for path in tmp_path.iterdir():
            text = path.read_bytes().decode().rstrip("\n").replace("\n", end) + end
            path.write_bytes(codecs.BOM_UTF8 * bom + text.encode())
        assert read_classes(tmp_path) == classes
        for split in SPLITS:
            assert read_list(tmp_path, split, classes) == lists[split]
        found = check_metadata({split: list_path(tmp_path, split) for split in SPLITS}, classes)
        assert found.errors == []
        assert found.n_clips == {split: len(lists[split]) for split in SPLITS}

    hold(
        holds,
        n_examples,
        data_sets(),
        st.sampled_from(["\n", "\r\n", "\r", "\n \n"]),
        st.booleans(),
    )


@few_or_many
def test_prepared_lists_hold_what_was_listed_up_to_the_clips_end(
    tmp_path: Path, n_examples: int
) -> None:
    local = Local(media_dir=tmp_path / "media", metadata_dir=tmp_path / "lists")

    def holds(data_set: tuple[tuple[str, ...], dict[str, list[AnnotatedClip]]]) -> None:
        classes, lists = data_set
        for split in SPLITS:
            write_list(local.metadata_dir, split, lists[split])
        prepare_lists(LocalDataset(source="local", classes=classes), local, tmp_path / "out")
        assert read_classes(tmp_path / "out") == classes
        for split in SPLITS:
            prepared = read_list(tmp_path / "out", split, classes)
            assert [clip.clip_id for clip in prepared] == [clip.clip_id for clip in lists[split]]
            for clip, listed in zip(prepared, lists[split], strict=True):
                assert set(clip.events or ()) == {
                    replace(event, offset=min(event.offset, CLIP_DURATION))
                    for event in listed.events or ()
                    if event.onset < CLIP_DURATION
                }

    hold(holds, n_examples, data_sets())


LIST_TEXTS = {
    "weak": b"filename\tevent_labels\na.wav\tCat\nb.mp4\tDog,Cat\n-c\tCat, Dog\n",
    "unlabeled": b"filename\r\na.wav\r\nb.mp4\r\nY-bcdefghijk_0.000_10.000.wav\r\n",
    "validation": b"filename\tonset\toffset\tevent_label\na.wav\t0\t1.5\tCat\nb.wav\t\t\t\nc\n",
    "test": b"filename\tonset\toffset\tevent_label\na.wav\t0.25\t9\tDog\na.wav\t2\t3\tCat\n",
    "strong": b"filename\tonset\toffset\tevent_label\na.wav\t0.5\t1\tDog\nb.wav\n",
}


@few_or_many
@pytest.mark.parametrize("split", SPLITS)
def test_any_list_is_read_or_refused_in_a_line(tmp_path: Path, split: str, n_examples: int) -> None:
    path = list_path(tmp_path, split)

    def holds(content: bytes) -> None:
        path.write_bytes(content)
        for classes in (CLASSES, None):
            check = check_metadata({split: path}, classes)
            assert all("\n" not in line for line in format_check(check))
            for line in check.errors + check.warnings:
                warning(AvsedError(line), path)
        try:
            clips = read_list(tmp_path, split, CLASSES)
        except AvsedError as error:
            warning(error, path)
            return
        for clip in clips:
            assert Path(clip.clip_id).name == clip.clip_id
            assert set(clip.tags or ()) <= set(CLASSES)
            assert all(0 <= event.onset < event.offset < 1e309 for event in clip.events or ())
        assert len({clip.clip_id for clip in clips}) == len(clips)
        write_list(tmp_path, split, clips)
        assert read_list(tmp_path, split, CLASSES) == clips

    hold(holds, n_examples, spoiled(LIST_TEXTS[split]))


@few_or_many
def test_any_classes_are_read_or_refused_in_a_line(tmp_path: Path, n_examples: int) -> None:
    def holds(content: bytes) -> None:
        (tmp_path / "classes.txt").write_bytes(content)
        try:
            classes = read_classes(tmp_path)
        except AvsedError as error:
            warning(error, tmp_path / "classes.txt")
            return
        assert classes == tuple(name.strip() for name in classes)
        write_classes(tmp_path, classes)
        assert read_classes(tmp_path) == classes

    hold(holds, n_examples, spoiled("Cat\nDog\n\nKäse 🧀\n".encode()))


TABLE = (
    b"clip_id,file,status,reason,has_audio,has_video,duration,sha256\n"
    b'a,a.mp4,ok,"damaged: a ""b"", c",1,0,9.5,0f\n'
    b"b,,unavailable,no media file has its name,0,0,0.0,\n"
)


def as_written(records: list[ClipRecord]) -> list[ClipRecord]:
    one_line = [replace(record, reason=" ".join(record.reason.split())) for record in records]
    return sorted(one_line, key=lambda record: record.clip_id)


@few_or_many
def test_any_clip_table_is_read_or_refused_in_a_line(tmp_path: Path, n_examples: int) -> None:
    path = tmp_path / "clips.csv"

    def holds(content: bytes) -> None:
        path.write_bytes(content)
        try:
            records = read_clips(path)
        except AvsedError as error:
            assert "`dvc repro collect`" in warning(error, path)
            return
        for record in records:
            assert (tmp_path / "clips" / record.file).parent in (tmp_path, tmp_path / "clips")
            assert ".." not in Path(record.file).parts
            assert bool(record.file) == (record.status == "ok") == (0 < record.duration <= 10)
        write_clips(path, records)
        assert read_clips(path) == as_written(records)

    hold(holds, n_examples, spoiled(TABLE))


@few_or_many
def test_any_clip_records_are_read_back(tmp_path: Path, n_examples: int) -> None:
    texts = st.text(st.characters(codec="utf-8"), max_size=20)
    had = st.builds(
        lambda name, reason, duration: ClipRecord(
            clip_id=name, file=f"{name}.mp4", status="ok", reason=reason, has_audio=True,
            has_video=False, duration=duration, sha256="0f",
        ),
        clip_ids, texts, st.floats(0.001, 10),
    )  # fmt: skip
    gone = st.builds(
        lambda name, reason, status: ClipRecord(
            clip_id=name, file="", status=status, reason=reason, has_audio=False,
            has_video=False, duration=0.0, sha256="",
        ),
        clip_ids, texts, st.sampled_from(["unavailable", "failed"]),
    )  # fmt: skip

    def holds(records: list[ClipRecord]) -> None:
        write_clips(tmp_path / "clips.csv", records)
        assert read_clips(tmp_path / "clips.csv") == as_written(records)

    unique = st.lists(had | gone, max_size=6, unique_by=lambda record: record.clip_id)
    hold(holds, n_examples, unique)


NAMES = (
    *(
        "../a.wav",
        "/etc/passwd",
        "a/b.wav",
        "a\\b.wav",
        "C:a.wav",
        "a\0.wav",
        ".wav",
        "..",
        ".a.wav",
    ),
    *("http://a/b.wav", "concat:a.wav", "pipe:", "a%03d.wav", "a'b.wav", 'a"b.wav', "a|b.wav"),
    *("é.wav", "e\u0301.wav", "\u202ea.wav", "🧀.wav", "a\u2028b.wav", "a\x0bb.wav", "a\x85b.wav"),
    *("x" * 256, "$(id).wav", "a;b.wav", "a\x1b[31m.wav"),
)
TIMES = {
    ("1,5", "2"): "must be seconds, with a point before decimals",
    ("1_0", "12"): "must be seconds",
    ("0x1", "2"): "must be seconds",
    ("", "1"): "must be seconds",
    ("1", ""): "must be seconds",
    ("0", "nan"): "must be 0 or more and before the offset",
    ("nan", "nan"): "must be 0 or more and before the offset",
    ("0", "inf"): "must be 0 or more and before the offset",
    ("0", "1e999"): "must be 0 or more and before the offset",
    ("-1", "1"): "must be 0 or more and before the offset",
    ("-1e-300", "1"): "must be 0 or more and before the offset",
    ("2", "1"): "must be 0 or more and before the offset",
    ("1", "1"): "must be 0 or more and before the offset",
}
DEFECTS = [
    *(("unlabeled", name, "is not a valid file name; use") for name in NAMES),
    *(("test", f"{name}\t0\t1\tCat", "is not a valid file name; use") for name in NAMES),
    *(("test", f"z.wav\t{a}\t{b}\tCat", words) for (a, b), words in TIMES.items()),
    *(("weak", f"z.wav\t{label}", "is not among the classes") for label in ("cat", "Cät")),
    ("weak", "z.wav\tCat\x0b!", "contains control characters"),
    ("weak", "z.wav\tCat;Dog", "is not among the classes"),
    ("weak", "z.wav\t\u202eCat", "is not among the classes"),
    ("weak", "z.wav", "has no label; clips without tags belong in unlabeled.tsv"),
    ("weak", "z.wav\t , ,", "has no label"),
    ("weak", "z.wav\tCat\t", "has 3 fields; expected 2"),
    ("weak", "z.wav Cat", "has no label"),
    ("weak", "\tCat", "is not a valid file name"),
    ("unlabeled", "z.wav\tCat", "has 2 fields; expected 1"),
    ("unlabeled", "f0.wav", "is listed twice; remove one row"),
    ("unlabeled", "f0.ogg", "f0.ogg and f0.wav (line 2) would be one clip, because extensions"),
    ("test", "f0.mp4\t2\t3\tCat", "f0.mp4 and f0.wav (line 2) would be one clip"),
    ("test", "z.wav\t0\t1\tCat,Dog", "for several classes, write one row each"),
    ("test", 'z.wav\t0\t1\t"Cat', "begins with a quotation mark; remove it, or enclose"),
    ("weak", 'z.wav\t"Cat","Dog"', "begins with a quotation mark; remove it, or enclose"),
    ("weak", 'z.wav\tCat,"Dog"', "cannot be a class: it begins with a quotation mark"),
    ("unlabeled", '"z.wav', "begins with a quotation mark; remove it, or enclose"),
    ("test", "z.wav\t0\t1", "has times but no event_label"),
    ("test", "f0.wav\t0\t1\tCat", "the same event is listed twice; remove one row"),
]


@few_or_many
def test_a_defect_is_named_with_its_line(tmp_path: Path, n_examples: int) -> None:
    def holds(defect: tuple[str, str, str], n_rows: int, gaps: int, end: str, bom: bool) -> None:
        split, row, words = defect
        fields = {"weak": "\tCat", "unlabeled": "", "test": "\t0\t1\tCat"}[split]
        good = [f"f{number}.wav{fields}" for number in range(n_rows)]
        lines = [HEADERS[split], *good, *["  "] * gaps, row, f"last.wav{fields}"]
        path = list_path(tmp_path, split)
        path.write_bytes(codecs.BOM_UTF8 * bom + end.join(lines).encode())
        with pytest.raises(AvsedError) as caught:
            read_list(tmp_path, split, CLASSES)
        message = warning(caught.value, path)
        assert message.startswith(f"{path}, line {2 + n_rows + gaps}: "), message
        assert words in message
        errors = check_metadata({split: path}, CLASSES).errors
        assert errors == [message]

    ends = st.sampled_from(["\n", "\r\n", "\r"])
    rows = st.integers(1, 9)
    hold(
        holds,
        4 * n_examples,
        st.sampled_from(DEFECTS),
        rows,
        st.integers(0, 3),
        ends,
        st.booleans(),
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1: columns are nothing; expected, separated by tabs: filename, event_labels"),
        (b"\n", "line 1: columns are ''; expected"),
        (b"filename\n", "line 1: columns are 'filename'; expected"),
        (b"filename\tfilename\n", "line 1: columns are 'filename, filename'; expected"),
        (b"event_labels\tfilename\n", "line 1: columns are 'event_labels, filename'; expected"),
        (b"filename\tevent_labels\tmore\n", "line 1: columns are 'filename, event_labels, more'"),
        (b'"filename\t"event_labels"\n', "line 1: columns are '\"filename, \"event_labels\"'"),
        (b"\0\x1b[31m" * 10**6, "line 1: columns are '\\x00\\x1b[31m"),
        ("filename\tevent_labels\n".encode("utf-16"), "line 1: is not UTF-8 text"),
        ("filename\tevent_labels\n".encode("utf-16-le"), "line 1: columns are 'f\\x00i"),
        (b"filename\tevent_labels\na.wav\tCat\nb.wav\tCat\xff\n", "line 3: is not UTF-8 text"),
        (b"filename\tevent_labels\na.wav\t" + b"Cat," * 10**6 + b"Cow\n", "line 2: 'Cow' is not"),
        (b"filename\tevent_labels\na.wav\t" + b"x" * 10**7 + b"\n", "line 2: 'xxx"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_list_is_refused_in_a_line(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = list_path(tmp_path, "weak")
    path.write_bytes(content)
    with pytest.raises(AvsedError) as caught:
        read_list(tmp_path, "weak", CLASSES)
    assert warning(caught.value, path).startswith(f"{path}, {words}")


HOSTILE_YAML = (
    *("[", "{", "&a", "*a", "? ", "!!python/object/apply:os.system ['true']", "!!set {a}", "!x"),
    *(
        "~",
        ".nan",
        ".inf",
        "-1",
        "1e999",
        "9" * 5000,
        "2001-99-99",
        "0o9",
        "1_0",
        "'\\0'",
        '"\\ud800"',
    ),
    *(
        '"a\\nb"',
        "<<: 5\n",
        "\n1: 2\n",
        "\n? [a]\n: b\n",
        "\n---\n",
        "%YAML 9.9\n",
        "\t",
        "[" * 500,
    ),
    *(
        "x: &x [a, b]\ny: &y [*x, *x, *x]\n",
        "profile: paper\n",
        "source: local\n",
        "demo: 1\n",
        "\ufeff",
    ),
)


@few_or_many
@pytest.mark.parametrize("name", ["params.yaml", "profiles/demo.yaml", "profiles/local.yaml"])
def test_any_params_are_read_or_refused_in_a_line(
    tmp_path: Path, name: str, n_examples: int
) -> None:
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    params = (ROOT / "params.yaml").read_text()
    if name == "profiles/local.yaml":
        params = params.replace("profile: demo", "profile: local")
    (tmp_path / "params.yaml").write_text(params)
    text = (tmp_path / name).read_text()
    tokens = st.sampled_from(HOSTILE_YAML) | st.text(max_size=5) | st.just("")
    places = st.integers(0, len(text)) | st.sampled_from(
        [place + 1 for place, character in enumerate(text) if character in ": \n"]
    )

    def holds(changes: list[tuple[int, int, str]]) -> None:
        changed = text
        for place, n_dropped, token in changes:
            changed = changed[:place] + token + changed[place + n_dropped :]
        (tmp_path / name).write_bytes(changed.encode("utf-8", "surrogatepass"))
        try:
            load_params(tmp_path / "params.yaml")
        except AvsedError as error:
            warning(error, tmp_path / "params.yaml", tmp_path / "profiles")

    change = st.tuples(places, st.sampled_from([0, 0, 1, 4, 30]), tokens)
    hold(holds, n_examples, st.lists(change, min_size=1, max_size=3))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: " + "[" * 500, "is nested too deeply"),
        ("a: 2001-99-99", "is not valid YAML: month must be in 1..12"),
        (f"a: {'9' * 5000}", "is not valid YAML: Exceeds the limit"),
        ("profile: [demo]", "profile is a list; choose one of demo, local, paper"),
    ],
)
def test_params_that_break_a_reader_of_yaml_are_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(AvsedError) as caught:
        load_params(tmp_path / "params.yaml")
    assert words in warning(caught.value, tmp_path / "params.yaml")


def test_aliases_that_grow_without_end_do_not_fill_a_message(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    aliases = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 99))]
    text = (ROOT / "params.yaml").read_text().replace("  visual_dim: 4", "  visual_dim: *a98")
    (tmp_path / "params.yaml").write_text("\n".join([*aliases, text]))
    with pytest.raises(AvsedError) as caught:
        load_params(tmp_path / "params.yaml")
    warning(caught.value, tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text(f"{text}\n".replace("*a98", "[*a, *a]").replace(
        "  auditory_dim: 16", "  auditory_dim: &a [[16]]"))  # fmt: skip
    with pytest.raises(AvsedError, match=r"fusion.auditory_dim is a list; input should be a valid"):
        load_params(tmp_path / "params.yaml")
