"""onnxruntime-web, which runs ONNX files in a browser, from the npm registry."""

import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pooch

from avsed.errors import AvsedError
from avsed.features.weights.published import weights_cache
from avsed.runtime.files import file_sha256

NAME, VERSION = "onnxruntime-web", "1.30.0"
LICENCE = "MIT, Copyright (c) Microsoft Corporation"
_SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
_REGISTRY = "https://registry.npmjs.org"
# The build that needs neither a GPU nor workers: its interface, the module that loads the
# WebAssembly, and the WebAssembly.
_FILES = {
    "interface": "package/dist/ort.wasm.min.mjs",
    "loader": "package/dist/ort-wasm-simd-threaded.mjs",
    "wasm": "package/dist/ort-wasm-simd-threaded.wasm",
}


def read_runtime() -> Mapping[str, bytes]:
    """Read the three files of onnxruntime-web; download the package (33 MB) if it is missing.

    The registry is npm's, or that of the environment variable `npm_config_registry`.

    Raises:
        AvsedError: if it cannot be downloaded, or is another package than the published one.
    """
    with tarfile.open(_fetch()) as package:
        found = {part: package.extractfile(name) for part, name in _FILES.items()}
        return {part: file.read() for part, file in found.items() if file}


def _fetch() -> Path:
    """Return the local copy of the package, beside the weights of networks."""
    environment = {name.lower(): value for name, value in os.environ.items()}  # as npm reads it
    registry = (environment.get("npm_config_registry") or _REGISTRY).rstrip("/")
    path = weights_cache() / f"{NAME}-{VERSION}.tgz"
    url = f"{registry}/{NAME}/-/{path.name}"
    pooch.get_logger().setLevel("ERROR")
    if not path.is_file():
        print(f"fetching {url}", flush=True)
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{_SHA256}",
            fname=path.name,
            path=path.parent,
            progressbar=True,
        )
    except (OSError, ValueError) as error:  # of the network, of the disk; another hash
        reason = " ".join(str(error).split())
        damaged = path.is_file() and file_sha256(path) != _SHA256
        raise AvsedError(
            f"{url}: cannot be downloaded ({reason}); "
            + (f"replace {path}, which is not this package" if damaged else f"put it into {path}")
        ) from None
    return path
