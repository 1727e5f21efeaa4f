"""Extraction and training on a Dask cluster of real processes, one of which is killed."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
import torch

from avsed.config import load_params
from avsed.dataset.clips import ClipRecord
from avsed.dataset.inspection import inspect_clip
from avsed.dataset.media import Media
from avsed.dataset.shards import read_features
from avsed.errors import AvsedError
from avsed.features import spectral
from avsed.features.extraction import extract as extract_module
from avsed.features.extraction.extract import extract_features
from avsed.features.extractor import ClipInputs, Extractor, FeatureSpec, Recipe
from avsed.features.networks import vggish
from avsed.features.networks.log_mel_examples import N_MELS, SAMPLE_RATE, log_mel_examples
from avsed.framing import N_FRAMES
from avsed.params import Auditory
from avsed.runtime import cluster
from avsed.runtime.cluster import SCHEDULER_VARIABLE, connect
from avsed.sources.demo.render import render_clip
from avsed.sources.demo.scenes import Scene
from avsed.training import train as train_module
from avsed.training.batches import TrainingData
from avsed.training.train import train_variant
from tests.conftest import ROOT, whole_files
from tests.helpers.training import FUSION, SHORT, training_data

KINDS = ("spectral", "auditory")
N_CLIPS = 12


def make_auditory(params: Auditory) -> Extractor:
    """Return an extractor of VGGish's front end, with the mean of each band as features."""

    def prepare(media: Media[object], duration: float) -> ClipInputs:
        waveform = media.waveforms[SAMPLE_RATE]
        examples = log_mel_examples(waveform, params.alignment, log_offset=0.01)
        return ClipInputs(rows=torch.from_numpy(examples), index=np.arange(N_FRAMES))

    def embed(examples: torch.Tensor) -> torch.Tensor:
        time.sleep(0.2)  # so that a worker can be killed while others work
        return examples.mean(1)

    dims = N_MELS
    spec = FeatureSpec(
        kind="auditory", stream="audio", n_frames=N_FRAMES, dims=dims, provenance={"dims": dims}
    )
    return Extractor(
        spec=spec,
        sample_rate=SAMPLE_RATE,
        each_image=None,
        prepare=prepare,
        embed=embed,
        batch_size=N_FRAMES,
    )


def recipes() -> dict[str, Recipe]:
    params = load_params(ROOT / "params.yaml")
    return {
        "spectral": Recipe("spectral", spectral.make_extractor, params.spectral),
        "auditory": Recipe("auditory", make_auditory, params.auditory),
    }


@dataclass
class Dask:
    """A scheduler and its workers, each a process."""

    folder: Path
    scheduler_file: Path = field(init=False)
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scheduler_file = self.folder / "scheduler.json"
        local = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.start("scheduler", *local, "--scheduler-file", str(self.scheduler_file))

    def start_worker(self, name: str, **environment: str) -> None:
        where = ("--scheduler-file", str(self.scheduler_file), "--host", "127.0.0.1")
        self.start(name, "--no-nanny", "--no-dashboard", "--nthreads", "1", *where, **environment)

    def start(self, name: str, *options: str, **environment: str) -> None:
        command = [sys.executable, "-m", "dask", name.split("-")[0], *options]
        # Training's data come of a function of these tests.
        imported = environment.get("PYTHONPATH", str(ROOT / "src"))
        environment["PYTHONPATH"] = os.pathsep.join([imported, str(ROOT)])
        with (self.folder / f"{name}.log").open("w") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, env=os.environ | environment
            )

    def start_two_workers(self, *, source_of_first: Path = ROOT / "src") -> None:
        self.start_worker("worker-1", PYTHONPATH=str(source_of_first))
        self.start_worker("worker-2")
        logs = [self.folder / f"worker-{n}.log" for n in (1, 2)]
        until(lambda: all("Registered to" in log.read_text() for log in logs))

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dask]:
    dask = Dask(tmp_path)
    until(dask.scheduler_file.exists)
    monkeypatch.setenv(SCHEDULER_VARIABLE, str(dask.scheduler_file))
    yield dask
    dask.stop()


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ClipRecord]]:
    folder = tmp_path_factory.mktemp("clips")
    for n in range(N_CLIPS):
        scene = Scene(clip_id=f"clip-{n}", duration=1.0, events=(), seed=n, background_level=-30.0)
        render_clip(scene, folder / f"clip-{n}.mp4")
    return folder, [inspect_clip(path.stem, path) for path in sorted(folder.glob("*.mp4"))]


def extract(clips: tuple[Path, list[ClipRecord]], out_dir: Path) -> dict[str, np.ndarray]:
    folder, records = clips
    extract_features(recipes(), records, clips_dir=folder, out_dir=out_dir, clips_per_shard=2)
    clip_ids = [record.clip_id for record in records]
    return {kind: read_features(out_dir, kind, clip_ids)[0] for kind in KINDS}


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_nothing_and_nothing_is_made_twice(
    dask: Dask,
    clips: tuple[Path, list[ClipRecord]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dask.start_worker("worker-1")
    dask.start_worker("worker-2")
    store = tmp_path / "store"
    done = Event()
    seen: dict[Path, set[int]] = {}  # shards, and the files that they ever were

    def watch() -> None:
        while not done.is_set():
            for path in whole_files(store, "*.h5"):
                seen.setdefault(path, set()).add(path.stat().st_ino)
            if len(seen) >= 4:
                dask.processes["worker-1"].kill()
            time.sleep(0.01)

    watcher = Thread(target=watch)
    watcher.start()
    try:
        with monkeypatch.context() as patch:
            # Of this process only: what is computed must be computed by the workers.
            patch.setattr(extract_module, "embed_clips", None)
            spread = extract(clips, tmp_path / "spread")
    finally:
        done.set()
        watcher.join()
    assert dask.processes["worker-1"].poll() is not None
    assert dask.processes["worker-2"].poll() is None
    parts = list((tmp_path / "spread").rglob("part-*.h5"))
    assert len(seen) == len(parts) > 8
    assert all(len(files) == 1 for files in seen.values())

    monkeypatch.delenv(SCHEDULER_VARIABLE)
    monkeypatch.setenv("AVSED_STORE", str(tmp_path / "another store"))
    here = extract(clips, tmp_path / "here")
    for kind in KINDS:
        assert np.array_equal(spread[kind], here[kind]), kind


@pytest.mark.attack
@pytest.mark.slow
def test_one_worker_and_three_make_the_same_shards(
    dask: Dask,
    clips: tuple[Path, list[ClipRecord]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[dict[str, bytes]] = []
    for names in (["worker-1"], ["worker-2", "worker-3"]):
        for name in names:
            dask.start_worker(name)
        logs = [dask.folder / f"{name}.log" for name in names]
        until(lambda logs=logs: all("Registered to" in log.read_text() for log in logs))  # type: ignore[misc]
        folder = tmp_path / names[0]
        monkeypatch.setenv("AVSED_STORE", str(folder / "store"))
        extract((clips[0], clips[1][:4]), folder / "features")
        shards = (folder / "features").rglob("part-*.h5")
        made.append({str(path.relative_to(folder)): path.read_bytes() for path in shards})
    assert len(made[0]) >= 4
    assert [name for name in made[0] if made[0][name] != made[1][name]] == []


@pytest.mark.slow
def test_a_mistake_on_a_worker_is_told_as_it_would_be_here(
    dask: Dask, clips: tuple[Path, list[ClipRecord]], tmp_path: Path
) -> None:
    dask.start_worker("worker-1")
    broken = {
        "auditory": Recipe(
            "auditory",
            vggish.make_extractor,
            load_params(ROOT / "params.yaml").auditory.model_copy(
                update={"weights": "/nowhere/vggish.pth"}
            ),
        )
    }
    with pytest.raises(AvsedError, match=r"/nowhere/vggish.pth: weights not found"):
        extract_features(broken, clips[1], clips_dir=clips[0], out_dir=tmp_path / "features")


def open_short_data() -> TrainingData:
    """Return training data, also on a worker, and make it save its state after each step."""
    train_module.CHECKPOINT_INTERVAL = 0.0
    return training_data(n_frames=30)


TRAINING = SHORT.model_copy(update={"steps": 60, "n_seeds": 4, "seeds_per_run": 2})


def train(out_dir: Path) -> dict[str, bytes]:
    train_variant(open_short_data, FUSION, TRAINING, out_dir=out_dir, curve_dir=out_dir / "curve")
    return {path.name: path.read_bytes() for path in (out_dir / "seeds").glob("seed-*")}


@pytest.mark.slow
def test_a_worker_that_is_killed_in_training_costs_the_steps_since_its_checkpoint(
    dask: Dask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dask.start_two_workers()

    def kill_one() -> None:
        until(lambda: len(whole_files(tmp_path / "store", "*.checkpoint")) == 2)
        dask.processes["worker-1"].kill()

    killer = Thread(target=kill_one)
    killer.start()
    with monkeypatch.context() as patch:
        patch.setattr(train_module, "train_seeds", None)  # here
        spread = train(tmp_path / "spread")
    killer.join()
    assert dask.processes["worker-1"].poll() is not None
    assert sorted(spread) == [f"seed-{seed:02d}.safetensors" for seed in range(4)]

    monkeypatch.delenv(SCHEDULER_VARIABLE)
    monkeypatch.setenv("AVSED_STORE", str(tmp_path / "another store"))
    # What opening the data sets here is undone at the end.
    monkeypatch.setattr(train_module, "CHECKPOINT_INTERVAL", 0.0)
    # Each worker had every second seed.
    alone: dict[str, bytes] = {}
    for seeds in ((0, 2), (1, 3)):
        trained = train_module.train_seeds(
            open_short_data(), FUSION, TRAINING, seeds=seeds, store=tmp_path / "another store"
        )
        alone |= {
            trained.weights_path(seed).name: trained.weights_path(seed).read_bytes()
            for seed in seeds
        }
    assert spread == alone


@pytest.mark.slow
def test_a_worker_that_would_train_otherwise_is_refused(dask: Dask, tmp_path: Path) -> None:
    source = changed_source(tmp_path, "training/mean_teacher.py", "# another version\n")
    dask.start_two_workers(source_of_first=source)
    with pytest.raises(AvsedError, match=r"this worker's code is \w+, another's \w+; use the same"):
        train(tmp_path / "out")


def changed_source(tmp_path: Path, name: str, text: str) -> Path:
    """Copy the package, append text to a file, and return the folder to import it from."""
    shutil.copytree(ROOT / "src" / "avsed", tmp_path / "changed" / "avsed")
    path = tmp_path / "changed" / "avsed" / name
    path.write_text(path.read_text() + text)
    return tmp_path / "changed"


@pytest.mark.slow
def test_a_worker_with_other_code_is_refused(
    dask: Dask, clips: tuple[Path, list[ClipRecord]], tmp_path: Path
) -> None:
    source = changed_source(tmp_path, "features/spectral.py", "# another version\n")
    dask.start_worker("worker-1", PYTHONPATH=str(source))
    with pytest.raises(AvsedError, match="this worker's code, weights or precision differ"):
        extract(clips, tmp_path / "features")
    assert not list((tmp_path / "store").rglob("*.h5"))


@pytest.mark.slow
def test_a_worker_that_cannot_import_avsed_is_named(
    dask: Dask, clips: tuple[Path, list[ClipRecord]], tmp_path: Path
) -> None:
    source = changed_source(tmp_path, "features/extraction/extract.py", "import no_such_module\n")
    dask.start_worker("worker-1", PYTHONPATH=str(source))
    until(lambda: "Registered to" in (tmp_path / "worker-1.log").read_text())
    with pytest.raises(AvsedError, match=r"cannot import avsed \(No module named 'no_such_module'"):
        extract(clips, tmp_path / "features")


@pytest.mark.slow
def test_a_piece_of_work_that_kills_its_workers_is_given_up(dask: Dask) -> None:
    for n in range(6):
        dask.start_worker(f"worker-{n}")
    with connect() as machines:
        assert machines is not None
        with pytest.raises(AvsedError, match="workers died repeatedly on the same task"):
            list(machines.map(sys.modules["os"]._exit, [(1,)]))


@pytest.mark.slow
def test_a_scheduler_that_is_lost_is_said_to_be(dask: Dask) -> None:
    dask.start_worker("worker-1")
    with connect() as machines:
        assert machines is not None
        results = machines.map(time.sleep, [(0.01,), (60.0,)])
        next(results)
        dask.stop()
        with pytest.raises(AvsedError, match=r"scheduler.json: the scheduler is lost; .* again"):
            next(results)


def test_a_scheduler_that_does_not_answer_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SCHEDULER_VARIABLE, "tcp://127.0.0.1:9")
    monkeypatch.setattr(cluster, "TIMEOUT", 1)
    with (
        pytest.raises(AvsedError, match=r"tcp://127.0.0.1:9: no Dask scheduler answers"),
        connect(),
    ):
        pass


@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_what_names_no_scheduler_is_an_error(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scheduler.json"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv(SCHEDULER_VARIABLE, str(path))
    with pytest.raises(AvsedError, match=r"neither an address such as tcp://head:8786"), connect():
        pass


def test_without_a_scheduler_work_is_done_here() -> None:
    with connect() as machines:
        assert machines is None
