"""onnxruntime-web from a registry: mirrors, damage, and no network."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from avsed.errors import AvsedError
from avsed.export import npm_package
from avsed.export.npm_package import NAME, VERSION, read_runtime
from avsed.features.weights.published import weights_cache
from tests.helpers.quiet_server import QuietHandler

ARCHIVE = f"{NAME}-{VERSION}.tgz"
CONTENT = {
    "package/dist/ort.wasm.min.mjs": b"interface",
    "package/dist/ort-wasm-simd-threaded.mjs": b"loader",
    "package/dist/ort-wasm-simd-threaded.wasm": b"wasm",
}


def pack() -> bytes:
    """Return a package that has the files of onnxruntime-web."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as package:
        for name, content in CONTENT.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            package.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Serve a registry with one package; yields its address."""
    folder = tmp_path / "registry" / NAME / "-"
    folder.mkdir(parents=True)
    (folder / ARCHIVE).write_bytes(pack())
    handler = partial(QuietHandler, directory=str(tmp_path / "registry"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("variable", ["npm_config_registry", "NPM_CONFIG_REGISTRY"])
def test_a_mirror_is_used_once(
    variable: str, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("npm_config_registry", raising=False)
    monkeypatch.setenv(variable, f"{registry}/")
    monkeypatch.setattr(npm_package, "_SHA256", hashlib.sha256(pack()).hexdigest())
    expected = {"interface": b"interface", "loader": b"loader", "wasm": b"wasm"}
    assert read_runtime() == expected
    monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nobody listens there
    assert read_runtime() == expected


def test_another_package_is_refused(registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", registry)
    with pytest.raises(AvsedError, match=rf"{ARCHIVE}: cannot be downloaded .*hash.*; put it into"):
        read_runtime()
    assert not (weights_cache() / ARCHIVE).exists()


def test_without_a_network_the_error_says_where_to_put_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    with pytest.raises(AvsedError, match=rf"put it into .*/{ARCHIVE}$"):
        read_runtime()
    weights_cache().mkdir(parents=True, exist_ok=True)
    (weights_cache() / ARCHIVE).write_bytes(b"half of it")
    with pytest.raises(AvsedError, match=rf"replace .*/{ARCHIVE}, which is not this package$"):
        read_runtime()
