"""Run ffmpeg: again where it hangs, within its limits, and tell what is the file's doing."""

import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import IO, TypeVar, cast

import imageio_ffmpeg

from avsed.errors import AvsedError

TIME_LIMIT = 60  # seconds of one run of ffmpeg; a clip takes one at most
ATTEMPTS = 3
MOST_SAID = 2**20  # bytes of ffmpeg's complaints that are kept
MEMORY_LIMIT = 4 * 2**30  # bytes of one ffmpeg, on Linux

R = TypeVar("R")


class DecodeError(Exception):
    """A media file, or one of its streams, cannot be decoded: a fact about the clip."""


@cache
def ffmpeg_path() -> str:
    """Find the system's ffmpeg; where there is none, the one of imageio-ffmpeg."""
    return shutil.which("ffmpeg") or str(imageio_ffmpeg.get_ffmpeg_exe())


def file_url(path: Path) -> str:
    """Name a file so that ffmpeg takes it for one, even where it is called `http:a` or `-y`.

    Raises:
        DecodeError: if the name cannot be written in UTF-8.
    """
    try:
        path.as_posix().encode("utf-8")
    except UnicodeEncodeError:
        raise DecodeError("its path is no UTF-8 text; rename it") from None
    return f"file:{path}"


def start_ffmpeg(arguments: Sequence[str], **streams: int | IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start ffmpeg; it fails, as on a broken file, where it would take more than `MEMORY_LIMIT`.

    Args:
        arguments: of the command, without the executable.
        streams: its stdin, stdout and stderr, as of `subprocess.Popen`.
    """
    process = subprocess.Popen([ffmpeg_path(), *arguments], **streams)  # type: ignore[call-overload]
    if sys.platform == "linux":
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    return cast("subprocess.Popen[bytes]", process)


def run_ffmpeg(
    arguments: Sequence[str], *, stdin: bytes = b"", out_dir: Path | None = None
) -> tuple[bytes, bytes]:
    """Run ffmpeg, again if it hangs.

    ffmpeg's threads block each other now and then (seen with 9.0, once in a hundred runs of some
    commands), so that nothing may wait for it without end.

    Args:
        arguments: of the command, without the executable.
        stdin: what it reads from its standard input.
        out_dir: the folder that it writes into, if it does.

    Returns:
        What it wrote to its standard output and to its standard error.

    Raises:
        AvsedError: if it was killed.
        OSError: if the disk that it writes to is full.
        subprocess.CalledProcessError: if it fails otherwise.
        subprocess.TimeoutExpired: if it hangs each time.
    """
    for attempt in range(ATTEMPTS):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with start_ffmpeg(arguments, **pipes) as process:
            try:
                output, log = process.communicate(stdin, timeout=TIME_LIMIT)
            except subprocess.TimeoutExpired:
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            finally:
                process.kill()
        if process.returncode:
            error = subprocess.CalledProcessError(process.returncode, process.args, output, log)
            raise_if_machine_failed(error, out_dir)
            raise error
        return output, log
    raise AssertionError("the last attempt returns or raises")


def stream_ffmpeg(arguments: Sequence[str], consume: Callable[[IO[bytes]], R]) -> tuple[R, str]:
    """Run ffmpeg, again if it hangs, and consume what it writes while it writes it.

    Returns:
        What `consume` returns, and ffmpeg's first complaint, if it has any.

    Raises:
        AvsedError: if it was killed.
        OSError: if the disk of temporary files is full.
        DecodeError: if it fails otherwise, or hangs each time.
    """
    for _ in range(ATTEMPTS):
        with start_ffmpeg(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            said_at_end = drain(cast(IO[bytes], process.stderr))
            started = time.monotonic()
            timer = threading.Timer(TIME_LIMIT, process.kill)
            timer.start()
            try:
                result = consume(cast(IO[bytes], process.stdout))
                process.wait()
            finally:
                timer.cancel()
                process.kill()
                said = said_at_end()
            if process.returncode == -signal.SIGKILL and time.monotonic() - started >= TIME_LIMIT:
                continue
            if process.returncode:
                raise_if_machine_failed(
                    subprocess.CalledProcessError(process.returncode, process.args, stderr=said),
                    Path(tempfile.gettempdir()),
                )
                raise DecodeError(first_error(said.decode("utf-8", "replace")))
            return result, first_error(said.decode("utf-8", "replace")) if said.strip() else ""
    raise DecodeError(f"ffmpeg takes more than {TIME_LIMIT} s")


def drain(stream: IO[bytes]) -> Callable[[], bytes]:
    """Read what a program says beside its output in a thread; gives what waits for its end.

    In memory: in a file, what it says of a disk that is full would be lost with all else.
    """
    said: list[bytes] = []

    def read() -> None:
        said.append(stream.read(MOST_SAID))
        while stream.read(MOST_SAID):
            pass

    thread = threading.Thread(target=read, daemon=True)
    thread.start()

    def wait() -> bytes:
        thread.join()
        return b"".join(said)

    return wait


def raise_if_machine_failed(error: subprocess.CalledProcessError, out_dir: Path | None) -> None:
    """Stop where a failure says nothing of the clip, which would be left out for good.

    Args:
        error: of ffmpeg.
        out_dir: the folder that it writes into, if it does.

    Raises:
        AvsedError: if it was killed.
        OSError: if that folder's disk is full, or the largest file that is allowed too small.
    """
    if error.returncode == -signal.SIGXFSZ:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(out_dir))
    # A crash, on the other hand, is the clip's doing. Signals that ask it to end make it exit 255,
    # as does, with a word, a decoder that gives up, or what must not be done, such as to follow a
    # list of other files.
    forbidden = b"Operation not permitted" in error.stderr
    if error.returncode == -signal.SIGKILL or (error.returncode == 255 and not forbidden):
        raise AvsedError(
            "ffmpeg was ended by a signal, for want of memory perhaps; run the stage again"
        )
    for number in (errno.ENOSPC, errno.EDQUOT):
        # Where it writes nothing, such words can come of a file's title only.
        if out_dir and os.strerror(number).encode() in error.stderr:
            raise OSError(number, os.strerror(number), str(out_dir))


def first_error(log: str) -> str:
    """Give the first complaint of ffmpeg, without the addresses that it prints before it."""
    if "matches no streams" in log:
        return "there is none"
    lines = log.strip().splitlines()
    ignored = (
        "At least one output file",
        "Input #",
        "misdetection possible",
        "AVOption max_pixels",  # where there is no picture to limit
    )
    # What it describes is indented.
    complaints = [
        line
        for line in lines
        if not line.startswith(" ") and not any(words in line for words in ignored)
    ]
    if not complaints:
        return "nothing can be decoded"
    # Addresses differ each time, and what is recorded of a clip decides which features are its own.
    return re.sub(r"^(\[[^]]*\] ?)+", "", complaints[0]).strip().removeprefix("file:")
