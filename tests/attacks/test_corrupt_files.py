"""Corrupted files between stages are rejected before they are read, with the stage to run."""

import gc
import itertools
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import h5py
import numpy as np
import pytest
import torch

from avsed.dataset.shards import Shard, is_valid_shard, read_features, read_origin, write_shard
from avsed.errors import AvsedError
from avsed.evaluation.counts import CountedClips, read_counts, write_counts
from avsed.features.weights.load import load_weights
from avsed.features.weights.published import PublishedWeights
from avsed.model.files import read_student_weights, save_weights
from avsed.model.scores import ScoredSplit, Scores, read_scores, write_scores
from avsed.prediction.trained_model import load_model
from avsed.runtime.files import append_checksum, verify_checksum
from tests.conftest import ROOT, run_avsed
from tests.helpers.models import write_model

CLIPS = ("a", "bb", "ccc")


def write_features(folder: Path) -> Path:
    path = folder / "features" / "auditory" / "part-00000.h5"
    values = np.random.default_rng(0).normal(size=(3, 151, 16)).astype(np.float16)
    write_shard(
        path,
        Shard(
            clip_ids=CLIPS,
            features=values,
            valid_frames=np.full(3, 151, np.int16),
            left_out={},
            provenance={"version": 1},
            code="code",
            key="key",
        ),
    )
    return path


def write_scores_of_two_seeds(folder: Path) -> Path:
    path = folder / "auditory.h5"
    rng = np.random.default_rng(0)
    seeds = {
        seed: Scores(
            frame_scores=rng.random((3, 151, 4), np.float32),
            clip_scores=rng.random((3, 4), np.float32),
        )
        for seed in range(2)
    }
    split = ScoredSplit(clip_ids=CLIPS, valid_frames=np.full(3, 151), seeds=seeds)
    write_scores(path, {"validation": split, "test": split})
    return path


def write_counts_of_a_seed(folder: Path) -> Path:
    path = folder / "auditory.h5"
    counts = np.random.default_rng(0).integers(0, 9, (3, 4, 3))
    write_counts(path, CountedClips(clip_ids=CLIPS, seeds={"0": {"event_f1": counts}}))
    return path


# How a file is written and read, and the command that the error names.
FILES: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object], str]] = {
    "features": (
        write_features,
        lambda path: read_features(path.parents[1], "auditory", ["a"]),
        "`dvc repro -f extract`",
    ),
    "scores": (write_scores_of_two_seeds, read_scores, "`dvc repro score@auditory`"),
    "counts": (write_counts_of_a_seed, read_counts, "`dvc repro evaluate@auditory`"),
}


def corrupt(content: bytes, rng: random.Random) -> bytes:
    """Flip bits, truncate, zero, or replace the content."""
    changed = bytearray(content)
    how = rng.choice(("flip", "flip", "flip", "cut", "zero", "longer", "text", "empty"))
    if how == "flip":
        for _ in range(rng.choice((1, 1, 4, 16))):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del changed[rng.randrange(len(changed)) :]
    elif how == "zero":
        first = rng.randrange(len(changed))
        changed[first : first + 64] = bytes(len(changed[first : first + 64]))
    elif how == "longer":
        changed += b"\0" * rng.randrange(1, 99)
    elif how == "text":
        changed = bytearray(b"clip_id\tscore\n" * 99)
    else:
        changed.clear()
    return bytes(changed)


def changes_of(content: bytes) -> Iterator[bytes]:
    """Yield changes of a file; replacing zeros by zeros is not one."""
    for seed in itertools.count():
        changed = corrupt(content, random.Random(seed))  # noqa: S311
        if changed != content:
            yield changed


def attack_file(name: str, n_changes: int, folder: Path) -> None:
    """Corrupt a file in several ways, each of which must be rejected."""
    write, read, remedy = FILES[name]
    path = write(folder)
    read(path)
    content = path.read_bytes()
    for number, changed in enumerate(itertools.islice(changes_of(content), n_changes)):
        path.unlink()
        path.write_bytes(changed)
        with pytest.raises(AvsedError) as caught:
            read(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: cannot be read ("), number
        assert message.endswith(remedy) and "\n" not in message, number
        assert name != "features" or not (is_valid_shard(path, "key") or read_origin(path)), number


@pytest.mark.parametrize("name", FILES)
def test_any_damage_is_refused_with_the_stage_to_run(name: str, tmp_path: Path) -> None:
    attack_file(name, 3000, tmp_path)


@pytest.mark.parametrize("lost", ["features", "clip_id", "valid_frames", "provenance", "key"])
def test_an_undamaged_shard_that_lacks_something_is_refused(lost: str, tmp_path: Path) -> None:
    path = write_features(tmp_path)
    with h5py.File(path, "r+") as file:
        del (file if lost in file else file.attrs)[lost]
    append_checksum(path)
    with pytest.raises(AvsedError, match=r"part-00000.h5: cannot be read .* `dvc repro -f extract"):
        read_features(tmp_path / "features", "auditory", ["a"])


@pytest.mark.parametrize(
    "features",
    [
        np.ones((3, 151, 16), np.float32),
        np.ones((2, 151, 16), np.float16),
    ],
)
def test_an_undamaged_shard_of_other_values_is_refused(
    features: np.ndarray, tmp_path: Path
) -> None:
    path = write_features(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["features"]
        file["features"] = features
    append_checksum(path)
    with pytest.raises(AvsedError, match=r"do not match\); run `dvc repro -f extract`"):
        read_features(tmp_path / "features", "auditory", ["a"])


def test_a_file_of_another_stage_is_refused(tmp_path: Path) -> None:
    path = write_counts_of_a_seed(tmp_path)
    with pytest.raises(AvsedError, match=r"auditory.h5: cannot be read .* `dvc repro score@aud"):
        read_scores(path)


def test_a_seal_is_checked_again_when_a_file_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    append_checksum(path)
    verify_checksum(path)
    sealed = path.read_bytes()
    path.unlink()
    path.write_bytes(sealed.replace(b"content", b"c0ntent1"))
    with pytest.raises(OSError, match="damaged"):
        verify_checksum(path)


def test_any_damage_of_a_students_weights_is_told(tmp_path: Path) -> None:
    path = tmp_path / "seed-00.safetensors"
    weights = {"a": torch.randn(4, 5), "b": torch.arange(3)}
    save_weights(path, weights, curve="[1]")
    loaded, curve = read_student_weights(path)
    assert curve == "[1]" and all(torch.equal(loaded[name], weights[name]) for name in weights)
    content = path.read_bytes()
    for _ in range(9):
        save_weights(path, weights, curve="[1]")
        assert path.read_bytes() == content
    for seed in range(200):
        path.write_bytes(corrupt(content, random.Random(seed)))  # noqa: S311
        if path.read_bytes() != content:
            with pytest.raises(OSError, match=r"."):
                read_student_weights(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("seeds/seed-00.safetensors", b"", "not the weights of this model"),
        ("seeds/seed-00.safetensors", b"<html>404</html>", "not the weights of this model"),
        ("model.json", b'{"kinds": ["spectral"', "missing or invalid"),
        ("model.json", b"\xff\xfe", "missing or invalid"),
    ],
)
def test_a_damaged_model_is_refused_by_predict_with_exit_2(
    name: str,
    content: bytes,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model_dir = write_model(tmp_path / "spectral", "spectral")
    (model_dir / name).write_bytes(content)
    assert run_avsed(monkeypatch, "predict", "any.wav", "--model", model_dir) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {model_dir / name}: {message}")
    assert said.endswith("run `dvc repro train@spectral`\n") and said.count("\n") == 1


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    model_dir = write_model(tmp_path / "spectral", "spectral")
    save_weights(model_dir / "seeds" / "seed-00.safetensors", {"a": torch.ones(3)}, curve="[]")
    with pytest.raises(AvsedError, match=r"not the weights of this model .* train@spectral`"):
        load_model(model_dir, {})


@pytest.mark.attack
@pytest.mark.slow
def test_a_stage_says_in_one_line_what_is_damaged(tmp_path: Path) -> None:
    for name in ("params.yaml", "profiles"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "data" / "metadata").mkdir(parents=True)
    (tmp_path / "data" / "metadata" / "classes.txt").write_text("Cat\n")
    (tmp_path / "data" / "clips.csv").write_text("clip_id\n")
    scores = tmp_path / "data" / "scores" / "spectral.h5"
    scores.parent.mkdir()
    scores.write_text("no HDF5")
    done = subprocess.run(
        [sys.executable, ROOT / "stages" / "evaluate.py", "spectral"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: data/scores/spectral.h5: cannot be read (damaged, cut short, or not written by "
        "this avsed); run `dvc repro score@spectral`\n"
    )


class BadServer(BaseHTTPRequestHandler):
    """Answer each path with a different failure."""

    def do_GET(self) -> None:
        if self.path.startswith("/gone"):
            self.send_error(404)
        elif self.path.startswith("/loop"):
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
        elif self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/page.html")
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("Content-Length", "999" if self.path.startswith("/cut") else "17")
            self.end_headers()
            self.wfile.write(b"<html>sorry</html>"[:17])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), BadServer) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("trouble", ["gone", "loop", "moved", "cut", "page"])
def test_a_bad_download_is_refused_and_leaves_nothing(
    trouble: str, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    published = PublishedWeights(url=f"{server}/{trouble}/weights.pth", sha256="0" * 64)
    with pytest.raises(
        AvsedError, match=r"weights.pth: cannot be downloaded .* put the file into"
    ) as (caught):
        load_weights(torch.nn.Linear(2, 3), "pretrained", published)
    assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    gc.collect()  # requests leaves the socket of a rejected response to the garbage collector
