"""A disk that becomes full in each step: one line, no damage, and the same results afterwards."""

import os
import re
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from avsed.config import load_params, load_variants
from avsed.dataset.annotations import AnnotatedClip, Event, write_classes, write_list
from avsed.dataset.clips import read_clips
from avsed.dataset.inspection import inspect_clip
from avsed.dataset.media import Media
from avsed.dataset.shards import read_features
from avsed.errors import AvsedError
from avsed.evaluation.evaluate import evaluate_variant
from avsed.features.extraction.extract import extract_features
from avsed.features.extractor import ClipInputs, Extractor, Recipe
from avsed.features.spectral import make_extractor
from avsed.model.score import score_variant
from avsed.params import Dataset, DemoDataset, Download, Local, LocalDataset, Spectral
from avsed.prediction.run import predict_files
from avsed.prediction.trained_model import load_model
from avsed.report.summarize import summarize
from avsed.runtime.process import run
from avsed.sources.collect import collect_clips
from avsed.sources.prepare import prepare_lists
from avsed.sources.youtube.download import download_clips
from avsed.sources.youtube.scheduling import RetryPolicy
from avsed.training import train as train_module
from avsed.training.train import train_variant
from tests.conftest import ROOT
from tests.helpers.control_groups import leave_memory
from tests.helpers.models import CLASSES, RECIPES, write_model
from tests.helpers.scored_run import illustrate_run, write_run
from tests.helpers.small_disk import PAGE, Disk, mounted
from tests.helpers.training import FUSION, SHORT, training_data
from tests.helpers.video_site import open_site, serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of DVC's and yt-dlp's, after errors
]

SIZE = 2**26  # bytes
PARAMS = load_params(ROOT / "params.yaml")
DOWNLOAD = Download(cookies=None, proxy=None, sleep=0, jobs=2, min_fraction=0)
DEMO = DemoDataset(
    source="demo", seed=1, n_weak=1, n_unlabeled=1, n_validation=1, n_test=1, n_strong=0
)
LOCAL = LocalDataset(source="local", classes=CLASSES)
LISTED = {"weak": ("a",), "unlabeled": ("b",), "validation": ("c",), "test": ("d", "e")}
N_VIDEOS = 3

# Files that grow during a run or that belong to one run.
GROWING = ("training", "ledger.jsonl", "lock", "checkpoint", "work", "bin")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk", SIZE) as disk:
        yield disk


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, clip_path: Path) -> Path:
    """Create the inputs of all steps: lists, media, a model, features, scores and evaluations."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "media").mkdir()
    write_classes(folder / "metadata", CLASSES)
    for split, clip_ids in LISTED.items():
        cat = (Event(onset=1.0, offset=3.0, label="Cat"),)
        clips = [AnnotatedClip(clip_id=name, tags=("Cat",), events=cat) for name in clip_ids]
        write_list(folder / "metadata", split, clips)
        for name in clip_ids:
            shutil.copy(clip_path, folder / "media" / f"{name}.mp4")
    prepare_lists(DEMO, local(folder), folder / "demo")
    write_model(folder / "spectral", "spectral", n_seeds=2)
    write_run(folder / "run", PARAMS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVSED_STORE", str(folder / "store"))
        extract(folder, folder, kinds=("spectral",))
    return folder


def local(inputs: Path) -> Local:
    return Local(media_dir=inputs / "media", metadata_dir=inputs / "metadata")


def prepare(inputs: Path, work: Path) -> None:
    prepare_lists(DEMO, local(inputs), work / "metadata")


def collect(inputs: Path, work: Path, *, dataset: Dataset, metadata: str) -> None:
    collect_clips(
        dataset,
        local(inputs),
        DOWNLOAD,
        metadata_dir=inputs / metadata,
        clips_dir=work / "clips",
        table_path=work / "clips.csv",
        metrics_path=work / "clips.json",
        report_path=work / "clips.md",
    )
    assert {record.status for record in read_clips(work / "clips.csv")} == {"ok"}


def download(inputs: Path, work: Path) -> None:
    video = (inputs / "media" / "a.mp4").read_bytes()
    names = [f"video-{number:05d}" for number in range(N_VIDEOS)]
    with open_site({name: serve(video) for name in names}) as site:
        records = download_clips(
            [f"Y{name}_1.000_3.000" for name in names],
            DOWNLOAD,
            clips_dir=work / "clips",
            table_path=work / "clips.csv",
            site=site.site,
            retry_policy=RetryPolicy(attempts=2, backoff=0.05, socket_timeout=1.0),
        )
    assert [record.status for record in records] == ["ok"] * N_VIDEOS


before_extraction: list[Callable[[], None]] = []


def make_late_extractor(params: Spectral) -> Extractor:
    """Return an extractor during whose setup the disk becomes full, after the stage checked it."""
    extractor = make_extractor(params)

    def prepare(media: Media[Any], duration: float) -> ClipInputs:
        while before_extraction:
            before_extraction.pop()()
        return extractor.prepare(media, duration)

    return replace(extractor, prepare=prepare)


def extract(inputs: Path, work: Path, kinds: tuple[str, ...] = ("spectral", "auditory")) -> None:
    recipes = {**RECIPES, "spectral": Recipe("spectral", make_late_extractor, PARAMS.spectral)}
    records = [inspect_clip(path.stem, path) for path in sorted((inputs / "media").iterdir())]
    assert {record.status for record in records} == {"ok"}
    extract_features(
        {kind: recipes[kind] for kind in kinds},
        records,
        clips_dir=inputs / "media",
        out_dir=work / "features",
        clips_per_shard=2,
    )
    for kind in kinds:
        left_out = (work / "features" / kind / "left_out.csv").read_text()
        assert left_out == "clip_id,reason\n"


def train(_: Path, work: Path) -> None:
    train_variant(
        training_data, FUSION, SHORT, out_dir=work / "models", curve_dir=work / "training"
    )


def score(inputs: Path, work: Path) -> None:
    score_variant(
        inputs / "spectral",
        features_dir=inputs / "features",
        metadata_dir=inputs / "metadata",
        out_path=work / "scores.h5",
    )


def evaluate(inputs: Path, work: Path) -> None:
    evaluate_variant(
        inputs / "run" / "data" / "scores" / "spectral.h5",
        metadata_dir=inputs / "run" / "data" / "metadata",
        clips_path=inputs / "run" / "data" / "clips.csv",
        postprocess=PARAMS.postprocess,
        params=PARAMS.evaluation,
        out_path=work / "evaluation.json",
        counts_path=work / "counts.h5",
    )


def write_table(inputs: Path, work: Path) -> None:
    summarize(
        inputs / "run" / "data" / "evaluations",
        load_variants(ROOT / "variants.yaml"),
        PARAMS,
        metrics_dir=work,
        reports_dir=work,
    )


def draw(inputs: Path, work: Path) -> None:
    illustrate_run(inputs / "run", PARAMS, reports_dir=work)


def predict(inputs: Path, work: Path) -> None:
    n_failed = predict_files(
        lambda: load_model(inputs / "spectral"),
        [inputs / "media" / "a.mp4"],
        out_dir=work / "found",
        plot_path=work / "found.png",
        page_path=work / "found.html",
    )
    assert n_failed == 0


Step = Callable[[Path, Path], None]
collect_demo = partial(collect, dataset=DEMO, metadata="demo")
collect_local = partial(collect, dataset=LOCAL, metadata="metadata")
attack = pytest.mark.attack

# The folder that is on the small disk.
ATTACKS = [
    pytest.param(prepare, "work", marks=attack, id="prepare-work"),
    pytest.param(collect_demo, "work", marks=attack, id="demo-work"),
    pytest.param(collect_demo, "temporary", marks=attack, id="demo-temporary"),
    pytest.param(collect_local, "work", marks=attack, id="local-work"),
    pytest.param(collect_local, "temporary", id="local-temporary"),
    pytest.param(download, "work", marks=attack, id="download-work"),
    pytest.param(download, "store", marks=attack, id="download-store"),
    pytest.param(download, "temporary", marks=attack, id="download-temporary"),
    pytest.param(extract, "work", marks=attack, id="extract-work"),
    pytest.param(extract, "store", marks=attack, id="extract-store"),
    pytest.param(extract, "temporary", marks=attack, id="extract-temporary"),
    pytest.param(train, "work", marks=attack, id="train-work"),
    pytest.param(train, "store", marks=attack, id="train-store"),
    pytest.param(score, "work", marks=attack, id="score-work"),
    pytest.param(evaluate, "work", id="evaluate-work"),
    pytest.param(write_table, "work", marks=attack, id="summarize-work"),
    pytest.param(draw, "work", marks=attack, id="illustrate-work"),
    pytest.param(predict, "work", marks=attack, id="predict-work"),
    pytest.param(predict, "temporary", marks=attack, id="predict-temporary"),
]


@pytest.mark.parametrize(("step", "full"), ATTACKS)
def test_a_full_disk_is_one_line_and_costs_nothing_that_is_finished(
    step: Step,
    full: str,
    disk: Disk,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Run a step with no free space, then with one page, four pages, ... until it succeeds."""
    monkeypatch.setattr(train_module, "CHECKPOINT_INTERVAL", 0.0)
    monkeypatch.setenv("PATH", os.environ["PATH"])  # the download extends it

    def attempt(folder: Path, on_disk: Path | None = None) -> int:
        places = {name: folder / name for name in ("work", "store", "temporary")}
        if on_disk:
            places[full] = on_disk / full
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv("AVSED_STORE", str(places["store"]))
        monkeypatch.setattr(tempfile, "tempdir", str(places["temporary"]))

        def fill() -> None:
            if on_disk:
                disk.fill(leaving=leaving)

        disk.make_room()
        if step is extract:
            before_extraction[:] = [fill]
        else:
            fill()
        try:
            run(lambda: step(inputs, places["work"]))
        except SystemExit as end:
            assert isinstance(end.code, int)
            return end.code
        return 0

    leaving, n_failed = 0, 0
    undisturbed = tmp_path / "undisturbed"
    assert attempt(undisturbed) == 0
    expected = {name: contents(undisturbed / name) for name in ("work", "store")}
    assert expected["work"] or step is train

    capsys.readouterr()
    disturbed = tmp_path / "disturbed"
    (disk.path / full).mkdir()
    while True:
        status = attempt(disturbed, disk.path)
        said = capsys.readouterr().err
        there = {
            name: contents((disk.path if name == full else disturbed) / name) for name in expected
        }
        if status == 0:
            break
        n_failed += 1
        assert leaving < SIZE, "fails with all room, too"
        case = f"{leaving} bytes free of {disk.path}:\n{said}"
        assert status == 2, case
        (line,) = re.findall(r"^.*error: .*$", said, re.M)
        assert "No space left on device" in line, case
        assert str(disk.path / full) in line, case
        assert "make room" in line, case
        assert "Traceback" not in said, case
        for name, found in there.items():
            damaged = [path for path in found if found[path] != expected[name].get(path)]
            assert damaged == [], case
        leaving = max(PAGE, leaving * 4)
    assert n_failed, "the disk was never full"
    assert there == expected


def test_a_limit_of_file_sizes_is_no_fault_of_a_clip(
    clip_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ulimit -f` kills ffmpeg by a signal, like a clip that makes it crash."""

    def main() -> None:
        inspect_clip("a", clip_path)

    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, most))
    try:
        with pytest.raises(SystemExit) as caught:
            run(main)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "File too large" in said
    assert "ulimit -f" in said


def test_no_room_for_temporary_files_anywhere_is_one_line(
    monkeypatch: pytest.MonkeyPatch, clip_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nowhere", "/nor/there"])

    def main() -> None:
        inspect_clip("a", clip_path)

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "No usable temporary directory found in ['/nowhere', '/nor/there']" in line
    assert "TMPDIR" in line


def test_features_that_have_room_nowhere_are_refused_beforehand(
    disk: Disk, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVSED_STORE", str(disk.path))
    leave_memory(PAGE, tmp_path, monkeypatch)
    disk.fill(leaving=PAGE)
    with pytest.raises(AvsedError) as caught:
        read_features(inputs / "features", "spectral", ["a", "b"])
    assert "the features of 2 clips take 0.00 GB, more than half of the" in str(caught.value)
    assert f"free in {disk.path}; make room there" in str(caught.value)
    disk.make_room()
    features, _ = read_features(inputs / "features", "spectral", ["a", "b"])
    assert features.any()


def contents(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder except those that grow."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(word in str(path.relative_to(folder)) for word in GROWING)
    }
