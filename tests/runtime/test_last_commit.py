"""Files of the last commit, with remotes that cannot be reached."""

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server
from threading import Thread

import pytest

from avsed.runtime.last_commit import LastCommit, OutOfReachError, open_last_commit

pytestmark = [
    pytest.mark.slow,
    # Connections of DVC are left to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
STAGES = """\
stages:
  collect:
    cmd: mkdir clips && echo a > clips/a.mp4 && echo b > clips/b.mp4
    outs:
      - clips
"""


def run(*command: str) -> None:
    git = ["-c", "user.name=a", "-c", "user.email=b"] if command[0] == "git" else []
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        [command[0], *git, *command[1:]],
        env={**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1"},
        check=True,
        capture_output=True,
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Commit a project with two clips, and change to its folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    (folder / "dvc.yaml").write_text(STAGES)
    run("git", "init", "-q")
    run("dvc", "init", "-q")
    run("dvc", "repro", "-q")
    yield folder
    gc.collect()  # here, and not in another test, which such a connection would fail


def commit_with_remote(url: str) -> LastCommit:
    run("dvc", "remote", "add", "-q", "--default", "lab", url)
    run("git", "add", "-A")
    run("git", "commit", "-q", "-m", "Add clips")
    committed = open_last_commit()
    assert committed
    assert committed.remote == "lab"
    return committed


def lose(project: Path, *, all_of_it: bool) -> None:
    """Delete the files in DVC's cache, or only those of the clips but not the folder's."""
    for path in (project / ".dvc" / "cache").rglob("*"):
        if path.is_file() and (all_of_it or path.suffix != ".dir"):
            path.unlink()
    shutil.rmtree(project / "clips")


@pytest.fixture
def forbidding() -> Iterator[str]:
    """Serve 403 to every request."""

    class Forbidding(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Forbidding)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/x"
    server.shutdown()
    thread.join()
    server.server_close()


def closed_address() -> str:
    with create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/x"


@pytest.mark.parametrize("all_of_it", [False, True])
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("folder", "no such folder|No such file or directory: '.*nowhere"),
        ("closed", "Connect call failed"),
        ("forbidding", "403"),
        ("s3://bucket/x", "requires 'dvc-s3' to be installed"),
    ],
)
def test_a_remote_that_cannot_be_read_is_told_from_a_missing_file(
    project: Path, forbidding: str, tmp_path: Path, kind: str, reason: str, all_of_it: bool
) -> None:
    urls = {
        "folder": str(tmp_path / "nowhere"),
        "closed": closed_address(),
        "forbidding": forbidding,
    }
    committed = commit_with_remote(urls.get(kind, kind))
    lose(project, all_of_it=all_of_it)
    with pytest.raises(OutOfReachError, match=reason):
        committed.take(Path("clips/a.mp4"), tmp_path / "copy")


def test_a_file_that_the_remote_lacks_is_a_missing_file(project: Path, tmp_path: Path) -> None:
    committed = commit_with_remote(str(tmp_path / "remote"))
    run("dvc", "push", "-q")
    lose(project, all_of_it=True)
    for path in (tmp_path / "remote").rglob("*"):
        if path.is_file() and path.read_bytes() == b"a\n":
            path.unlink()
    with pytest.raises(FileNotFoundError):
        committed.take(Path("clips/a.mp4"), tmp_path / "copy")
    committed.take(Path("clips/b.mp4"), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"b\n"
    with pytest.raises(FileNotFoundError):
        committed.take(Path("clips/c.mp4"), tmp_path / "copy")
