"""Run ffmpeg with limits and retries, and separate bad input from machine failures."""

import errno
import io
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any, Self, TypeVar, cast

import imageio_ffmpeg

from avsed.errors import AvsedError

# ffmpeg's threads deadlock now and then (seen with 9.0, once in a hundred runs of some commands),
# so every wait has a limit, and short runs are repeated.
TIME_LIMIT = 60  # seconds; decoding a clip takes one at most
ATTEMPTS = 3
MAX_STDERR = 2**20  # bytes of stderr that are kept
MEMORY_LIMIT = 4 * 2**30  # bytes of one ffmpeg, on Linux

R = TypeVar("R")


class DecodeError(Exception):
    """A media file, or one of its streams, cannot be decoded: a property of the clip."""


@cache
def ffmpeg_path() -> str:
    """Find the system's ffmpeg, or else the one of imageio-ffmpeg."""
    return shutil.which("ffmpeg") or str(imageio_ffmpeg.get_ffmpeg_exe())


def file_url(path: Path) -> str:
    """Return a URL that ffmpeg reads as a file, even if its name is `http:a` or `-y`.

    Raises:
        DecodeError: if the name is not valid UTF-8.
    """
    try:
        path.as_posix().encode("utf-8")
    except UnicodeEncodeError:
        raise DecodeError("its path is not valid UTF-8; rename it") from None
    return f"file:{path}"


class Ffmpeg:
    """A running ffmpeg, with limits on memory and time; use it as a context manager.

    If it hangs within a time limit, it is started again, and its output goes on where it stopped.

    Attributes:
        stdout: its standard output.
    """

    stdout: IO[bytes]
    _pipe: io.BufferedReader

    def __init__(self, arguments: Sequence[str], *, feed: Sequence[str] | None = None) -> None:
        """Start ffmpeg.

        Args:
            arguments: without the executable.
            feed: arguments of another ffmpeg, whose output is the input of this one; None for no
                input.
        """
        self._arguments = arguments
        self._feed = feed
        self._n_starts = 0
        self._n_read = 0  # bytes of its output
        self._timer = threading.Timer(0.0, self._kill_overdue)
        self._start()
        self.stdout = cast(IO[bytes], io.BufferedReader(_Output(self._read_into)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self.stdout.close()

    def _start(self) -> None:
        self._n_starts += 1
        self._is_overdue = False
        self._feeder: Ffmpeg | None = Ffmpeg(self._feed) if self._feed else None
        source = self._feeder._pipe if self._feeder else subprocess.DEVNULL
        self._process = _start(self._arguments, stdin=source)
        if self._feeder:
            self._feeder._pipe.close()  # so that the feeder ends if its only reader does
        self._stderr = _drain(cast(IO[bytes], self._process.stderr))
        self._pipe = cast(io.BufferedReader, self._process.stdout)

    def _end(self) -> None:
        self._process.kill()
        self._pipe.close()
        self._process.wait()
        self._stderr()
        cast(IO[bytes], self._process.stderr).close()
        if self._feeder:
            self._feeder._end()

    def _read_into(self, buffer: memoryview) -> int:
        """Read the next bytes of the output, across restarts; 0 at its end."""
        while True:
            n_bytes = self._pipe.readinto1(buffer)
            if n_bytes or not self._restart_if_hung():
                self._n_read += n_bytes
                return n_bytes

    def _restart_if_hung(self) -> bool:
        """Start ffmpeg again if it was killed as overdue, and skip what was read before."""
        if self._is_overdue:
            self._process.wait()
        if not self.is_hung or self._n_starts == ATTEMPTS:
            return False
        self._end()
        self._start()
        n_left = self._n_read
        self._start_timer()
        while n_left and (skipped := self._pipe.read(min(n_left, 2**20))):
            n_left -= len(skipped)
            self._start_timer()  # each part has its own: there may be hours to skip
        return True

    @contextmanager
    def time_limit(self) -> Iterator[None]:
        """Kill ffmpeg if the block takes longer than `TIME_LIMIT`."""
        self._start_timer()
        try:
            yield
        finally:
            self._timer.cancel()

    def _start_timer(self) -> None:
        self._timer.cancel()
        self._timer = threading.Timer(TIME_LIMIT, self._kill_overdue)
        self._timer.start()

    def wait(self) -> None:
        """Wait for the end of ffmpeg."""
        self._process.wait()
        while self._restart_if_hung():
            self._process.wait()

    @property
    def is_hung(self) -> bool:
        """Whether ffmpeg was killed because of the time limit."""
        return self._is_overdue and self._process.returncode == -signal.SIGKILL

    def finish(self, out_dir: Path | None, unused: Collection[str] = ()) -> str:
        """Wait for the end of ffmpeg and check how it ended.

        Args:
            out_dir: the folder that it writes to, if any.
            unused: names of codecs of streams that are not decoded.

        Returns:
            The first warning; empty if there is none.

        Raises:
            AvsedError: if ffmpeg was killed.
            OSError: if the disk of `out_dir` is full.
            DecodeError: if ffmpeg failed for another reason.
        """
        fed = ""
        returncode = self._process.wait()
        if self._feeder:
            try:
                fed = self._feeder.finish(None, unused)
            except DecodeError as error:
                fed = str(error)  # its output until then is used
        stderr = self._stderr()
        log = stderr.decode("utf-8", "replace")
        if returncode:
            raise_if_machine_failed(
                subprocess.CalledProcessError(returncode, self._process.args, stderr=stderr),
                out_dir,
            )
            raise DecodeError(first_error(log, unused))
        return fed or first_warning(log, unused)

    def _kill_overdue(self) -> None:
        self._is_overdue = True
        self._process.kill()


class _Output(io.RawIOBase):
    """The output of an ffmpeg that may be started again."""

    def __init__(self, read_into: Callable[[memoryview], int]) -> None:
        self._read_into = read_into

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._read_into(buffer)


def stream_ffmpeg(
    arguments: Sequence[str],
    consume: Callable[[IO[bytes]], R],
    *,
    feed: Sequence[str] | None = None,
    unused: Collection[str] = (),
) -> tuple[R, str]:
    """Run ffmpeg and consume its output while it runs; run it again if it hangs.

    Args:
        arguments: without the executable.
        consume: reads the standard output.
        feed: arguments of another ffmpeg, whose output is the input of this one.
        unused: names of codecs of streams that are not decoded.

    Returns:
        The result of `consume`, and ffmpeg's first warning; empty if there is none.

    Raises:
        AvsedError: if ffmpeg was killed.
        OSError: if the disk of temporary files is full.
        DecodeError: if ffmpeg failed for another reason, or hangs each time.
    """
    with Ffmpeg(arguments, feed=feed) as process:
        with process.time_limit():
            result = consume(process.stdout)
            process.wait()
        if process.is_hung:
            raise DecodeError(f"ffmpeg takes more than {TIME_LIMIT} s")
        return result, process.finish(Path(tempfile.gettempdir()), unused)


def run_ffmpeg(
    arguments: Sequence[str],
    *,
    stdin: bytes = b"",
    out_dir: Path | None = None,
    time_limit: float | None = None,
) -> tuple[bytes, bytes]:
    """Run ffmpeg to its end; run it again if it hangs.

    Args:
        arguments: without the executable.
        stdin: its standard input.
        out_dir: the folder that it writes to, if any.
        time_limit: seconds; None for `TIME_LIMIT`.

    Returns:
        Its standard output and standard error.

    Raises:
        AvsedError: if ffmpeg was killed.
        OSError: if the disk of `out_dir` is full.
        subprocess.CalledProcessError: if ffmpeg failed for another reason.
        subprocess.TimeoutExpired: if ffmpeg hangs each time.
    """
    for attempt in range(ATTEMPTS):
        with _start(arguments, stdin=subprocess.PIPE) as process:
            try:
                output, log = process.communicate(stdin, timeout=time_limit or TIME_LIMIT)
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


def _start(arguments: Sequence[str], *, stdin: int | IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start ffmpeg; above `MEMORY_LIMIT` its allocations fail, as for a broken file."""
    process = subprocess.Popen(
        [ffmpeg_path(), *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if sys.platform == "linux":
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    return process


def _drain(stream: IO[bytes]) -> Callable[[], bytes]:
    """Read a stream in a thread, keeping `MAX_STDERR` bytes; return a function that waits for it.

    The bytes are kept in memory: a file would lose the error message of a full disk.
    """
    kept: list[bytes] = []

    def read() -> None:
        kept.append(stream.read(MAX_STDERR))
        while stream.read(MAX_STDERR):
            pass

    thread = threading.Thread(target=read, daemon=True)
    thread.start()

    def wait() -> bytes:
        thread.join()
        return b"".join(kept)

    return wait


def raise_if_machine_failed(error: subprocess.CalledProcessError, out_dir: Path | None) -> None:
    """Raise if a failure is not the fault of the clip, which would be excluded for good.

    Args:
        error: the failure of ffmpeg.
        out_dir: the folder that it writes to, if any.

    Raises:
        AvsedError: if ffmpeg was killed.
        OSError: if the disk of `out_dir` is full, or the limit on file sizes is too low.
    """
    if error.returncode == -signal.SIGXFSZ:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(out_dir))
    # A crash is the fault of the clip. ffmpeg exits with 255 if a signal asks it to end, but also,
    # with a message, if a decoder gives up or an operation is forbidden, such as following a
    # playlist.
    forbidden = b"Operation not permitted" in error.stderr
    if error.returncode == -signal.SIGKILL or (error.returncode == 255 and not forbidden):
        raise AvsedError(
            "ffmpeg was ended by a signal, possibly for lack of memory; run the stage again"
        )
    for number in (errno.ENOSPC, errno.EDQUOT):
        # If ffmpeg writes nothing, these words can only be from the title of a file.
        if out_dir and os.strerror(number).encode() in error.stderr:
            raise OSError(number, os.strerror(number), str(out_dir))


def first_error(log: str, unused: Collection[str] = ()) -> str:
    """Return the first error or warning in ffmpeg's log, without the addresses before it.

    Args:
        log: its standard error.
        unused: names of codecs of streams that are not decoded. ffmpeg looks into them all the
            same, and complains of damaged covers.
    """
    return next(_messages(log, unused), "nothing can be decoded")


def first_warning(log: str, unused: Collection[str] = ()) -> str:
    """Return the first message in the log of an ffmpeg that succeeded; empty if there is none."""
    return next(_messages(log, unused), "")


def _messages(log: str, unused: Collection[str]) -> Iterator[str]:
    if "matches no streams" in log:
        yield "there is none"
    ignored = (
        "At least one output file",
        "Input #",
        "misdetection possible",
        "AVOption max_pixels",  # if there are no images to limit
        "Attached picture",
    )
    for line in log.strip().splitlines():
        # Descriptions of the input are indented.
        if line.startswith(" ") or any(words in line for words in ignored):
            continue
        # A decoder's name and address, as in `[png @ 0x5637ef4e26c0]`.
        decoder = re.match(r"\[(\w+) @ ", line)
        if not decoder or decoder[1] not in unused:
            # Addresses differ between runs, but records of clips are part of the keys of their
            # features.
            yield re.sub(r"^(\[[^]]*\] ?)+", "", line).strip().removeprefix("file:")
