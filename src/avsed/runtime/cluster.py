"""Distribute work over the machines of a Dask cluster."""

import importlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from avsed.errors import AvsedError

R = TypeVar("R")

SCHEDULER_VARIABLE = "AVSED_SCHEDULER"
TIMEOUT = 30  # seconds until the scheduler must answer


class Cluster:
    """A Dask cluster whose workers share this machine's file system."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @property
    def n_workers(self) -> int:
        """Current number of workers."""
        return len(self._client.nthreads())

    def call(self, function: Callable[..., R], *args: object) -> R:
        """Run a function on one of the workers."""
        (result,) = self.map(function, [args])
        return result

    def map(self, function: Callable[..., R], calls: Sequence[tuple[object, ...]]) -> Iterator[R]:
        """Run a function on the workers, once per tuple of arguments.

        Tasks of a dead worker are rescheduled.

        Yields:
            The results, in the order of completion.

        Raises:
            AvsedError: if a call raises it, or workers die repeatedly.
        """
        from distributed import CancelledError, KilledWorker, as_completed

        futures = self._client.map(_call, [(function, *call) for call in calls], pure=False)
        try:
            for future in as_completed(futures):
                yield future.result()
        except KilledWorker:
            raise AvsedError(
                f"{_address()}: workers died repeatedly on the same task; check their logs, for "
                "example for memory. If machines are preempted often, start the scheduler with "
                "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=100"
            ) from None
        except CancelledError:
            raise AvsedError(
                f"{_address()}: the scheduler is lost; start one and run the stage again: finished "
                "work is kept"
            ) from None
        finally:
            self._client.cancel(futures)


@contextmanager
def connect() -> Iterator[Cluster | None]:
    """Connect to the Dask scheduler in `$AVSED_SCHEDULER`; yield None if it is not set.

    Raises:
        AvsedError: if the scheduler does not answer, or Dask is not installed.
    """
    address = _address()
    if not address:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise AvsedError(
            f"{SCHEDULER_VARIABLE} is set, but Dask is not installed: pip install -e '.[cluster]'"
        ) from None
    try:
        client = Client(_read_scheduler_file(address), timeout=TIMEOUT)
    except (OSError, ValueError) as error:
        raise AvsedError(
            f"{address}: no Dask scheduler answers ({error}); start one, or unset "
            f"{SCHEDULER_VARIABLE} to work on this machine"
        ) from None
    with client:
        cluster = Cluster(client)
        print(f"{address}: {cluster.n_workers or 'waiting for'} workers", flush=True)
        _require_avsed(client)
        yield cluster


def _read_scheduler_file(address: str) -> str:
    """Read the address from a scheduler file; return an address unchanged."""
    if "://" in address:
        return address
    try:
        return str(json.loads(Path(address).read_text("utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError):
        raise AvsedError(
            f"{SCHEDULER_VARIABLE} is {address}, which is neither an address such as "
            "tcp://head:8786, nor a file written by `dask scheduler --scheduler-file`"
        ) from None


def _require_avsed(client: Any) -> None:
    """Check that all workers can import avsed; those that cannot would shut down."""
    answers = client.run(
        importlib.import_module, "avsed.features.extraction.extract", on_error="return"
    )
    for worker, answer in answers.items():
        if isinstance(answer, Exception):
            raise AvsedError(
                f"{worker}: this worker cannot import avsed ({answer}); start it with the python "
                "in which avsed is installed"
            )


def _call(call: tuple[Any, ...]) -> Any:
    function, *args = call
    return function(*args)


def _address() -> str:
    return os.environ.get(SCHEDULER_VARIABLE, "")
