"""Download queue with rate limit, retries and a stop when the site blocks us.

Videos are downloaded and cut in threads; decisions and records are made in the calling thread. A
clip is recorded once its media are in the store, so a kill loses only clips in progress.
"""

import queue
import random
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from pathlib import Path
from tempfile import mkdtemp
from typing import NoReturn

from tqdm import tqdm

from avsed.dataset.clips import ClipRecord, missing_clip
from avsed.errors import AvsedError
from avsed.params import Download
from avsed.sources.youtube.cutting import cut_clip
from avsed.sources.youtube.failures import AGE_RESTRICTED, FetchError, Outcome
from avsed.sources.youtube.fetching import (
    LONG_VIDEO,
    SOCKET_TIMEOUT,
    TIME_LIMIT,
    Access,
    fetch_video,
)
from avsed.sources.youtube.ledger import Ledger, media_path
from avsed.sources.youtube.lists import Segment, segment_of

OVERDUE = 2 * TIME_LIMIT  # seconds after which a download is given up
LOOK_AGAIN = 5.0  # seconds

_REFUSALS = (Outcome.BLOCKED, Outcome.THROTTLED)


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Waits and limits of the download.

    Attributes:
        attempts: attempts per clip and run.
        backoff: seconds before the second attempt; doubled for each further one, with a random
            jitter of half.
        longest_backoff: seconds.
        socket_timeout: seconds without a byte.
        long_video: seconds; only a part of longer videos is downloaded.
        max_consecutive: outcome to the number of consecutive failures that stops the run.
    """

    attempts: int = 4
    backoff: float = 30.0
    longest_backoff: float = 1800.0
    socket_timeout: float = SOCKET_TIMEOUT
    long_video: float = LONG_VIDEO
    max_consecutive: dict[Outcome, int] = field(
        default_factory=lambda: {
            Outcome.BLOCKED: 3,
            Outcome.THROTTLED: 6,
            Outcome.UNCONFIRMED: 10,
            Outcome.TEMPORARY: 10,
        }
    )


@dataclass(order=True)
class _Wanted:
    """A clip to download, not before its time."""

    due: float  # time.monotonic(); likewise below
    segment: Segment = field(compare=False)
    attempts: int = field(default=0, compare=False)
    started: float = field(default=0.0, compare=False)


class Schedule:
    """One run over the requested clips."""

    def __init__(
        self,
        ledger: Ledger,
        wanted: Iterable[Segment],
        download: Download,
        access: Access,
        retry_policy: RetryPolicy,
    ) -> None:
        self.ledger = ledger
        self.download = download
        self.access = access
        self.retry_policy = retry_policy
        fresh = [_Wanted(due=0.0, segment=segment) for segment in wanted]
        random.shuffle(fresh)  # so that all splits grow evenly, and runs start with different clips
        self.fresh = deque(fresh)
        self.retries: list[_Wanted] = []  # a heap
        self.results: queue.SimpleQueue[tuple[_Wanted, ClipRecord | BaseException]] = (
            queue.SimpleQueue()
        )
        self.running: dict[str, _Wanted] = {}
        self.next_start = 0.0
        # Outcome to the clips that failed so since the last success, with the time.
        self.max_consecutive: dict[Outcome, dict[str, float]] = {outcome: {} for outcome in Outcome}
        self.failed: dict[str, FetchError] = {}

    def fetch_all(self, n_clips: int) -> dict[str, FetchError]:
        """Download until every clip is done, gone or failed; return the failed ones."""
        progress: tqdm[NoReturn] = tqdm(
            total=n_clips,
            initial=n_clips - len(self.fresh),
            desc="clips",
            unit="clip",
            mininterval=1 if sys.stderr.isatty() else 60,  # one line each in a log
        )
        with progress:
            while self.fresh or self.retries or self.running:
                self._start_due()
                self._give_up_overdue()
                try:
                    wanted, result = self.results.get(timeout=self._until_next_start())
                except queue.Empty:
                    continue
                # A download that was given up may still end.
                if self.running.pop(wanted.segment.clip_id, None):
                    progress.update(self._settle(wanted, result))
                    progress.set_postfix_str(self._state(), refresh=False)
        self._judge_the_last()
        return self.failed

    def _give_up_overdue(self) -> None:
        """Give up downloads that hang despite all other limits; their threads are abandoned."""
        long_ago = time.monotonic() - OVERDUE
        for wanted in self.running.values():
            if wanted.started < long_ago:
                error = FetchError(Outcome.TEMPORARY, "network", f"took more than {OVERDUE} s")
                self.results.put((wanted, error))

    def _judge_the_last(self) -> None:
        """Determine whether the last failures are due to the videos or to the address."""
        suspects = [
            error
            for clip_id, error in self.failed.items()
            if error.outcome in (*_REFUSALS, Outcome.UNCONFIRMED)
            and clip_id in self.max_consecutive[error.outcome]
        ]
        if not suspects or self._can_still_download():
            return
        for error in suspects:
            if error.outcome in _REFUSALS:
                raise self._too_many(error.outcome, error)

    def _state(self) -> str:
        seconds = self.next_start - time.monotonic() - self.download.sleep
        waits = f", waiting {seconds:.0f} s" if seconds > 1 else ""
        return f"{len(self.failed)} failed{waits}"

    def _start_due(self) -> None:
        while self._until_next_start() == 0:
            is_due = self.retries and self.retries[0].due <= time.monotonic()
            wanted = heappop(self.retries) if is_due or not self.fresh else self.fresh.popleft()
            wanted.started = time.monotonic()
            self.running[wanted.segment.clip_id] = wanted
            threading.Thread(target=self._fetch, args=(wanted,), daemon=True).start()
            self._pause(self.download.sleep * random.uniform(0.75, 1.25))  # noqa: S311

    def _until_next_start(self) -> float | None:
        """Seconds until the next clip may start, or until the next check for results."""
        if len(self.running) >= self.download.jobs or not (self.fresh or self.retries):
            return LOOK_AGAIN
        due = 0.0 if self.fresh else self.retries[0].due
        return max(0.0, max(self.next_start, due) - time.monotonic())

    def _pause(self, seconds: float) -> None:
        self.next_start = max(self.next_start, time.monotonic() + seconds)

    def _fetch(self, wanted: _Wanted) -> None:
        """Download and cut one clip; runs in its own thread."""
        segment = wanted.segment
        result: ClipRecord | BaseException
        try:
            with self._own_folder() as folder:
                video = fetch_video(segment, folder, self.access)
                part = folder / f"{segment.clip_id}.mp4"
                result = cut_clip(video, segment, part)
                part.replace(media_path(segment.clip_id))
        except FetchError as error:
            result = replace(error)  # without its traceback, which contains whole pages
        except BaseException as error:  # passed to the calling thread
            result = error
        self.results.put((wanted, result))

    @contextmanager
    def _own_folder(self) -> Iterator[Path]:
        # Not tempfile.TemporaryDirectory: the next run deletes files that cannot be deleted now.
        folder = Path(mkdtemp(dir=self.ledger.work_dir))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _settle(self, wanted: _Wanted, result: ClipRecord | BaseException) -> int:
        """Record a result or schedule a retry; return the number of clips that are done."""
        clip_id = wanted.segment.clip_id
        if isinstance(result, ClipRecord):
            self.ledger.add(result)
            self._trust(wanted.started)
            return 1
        if not isinstance(result, FetchError):
            raise result
        if result.outcome is Outcome.GONE:
            if result.category == AGE_RESTRICTED and self.download.cookies:
                result.category += " for this account too"
            self.ledger.add(missing_clip(clip_id, str(result)))
            return 1
        wanted.attempts += 1
        n_attempts = 2 if result.outcome is Outcome.UNCONFIRMED else self.retry_policy.attempts
        if wanted.attempts >= n_attempts:
            self.failed[clip_id] = result
        self._count(clip_id, result)
        if wanted.attempts >= n_attempts:
            return 1
        self._plan_another(wanted, result)
        return 0

    def _plan_another(self, wanted: _Wanted, error: FetchError) -> None:
        # The backoff grows with each clip that is blocked.
        n_refused = len(self.max_consecutive[error.outcome]) if error.outcome in _REFUSALS else 0
        backoff = self.retry_policy.backoff * 2 ** (max(n_refused, wanted.attempts) - 1)
        jitter = random.uniform(0.5, 1.5)  # noqa: S311
        seconds = max(min(backoff, self.retry_policy.longest_backoff) * jitter, error.retry_after)
        if error.outcome in _REFUSALS:
            self._pause(seconds)
        wanted.due = time.monotonic() + seconds
        heappush(self.retries, wanted)

    def _trust(self, since: float) -> None:
        """Attribute failures before a time to the videos, since a later download succeeded.

        A success says nothing about requests that were started after it.
        """
        for outcome, times in self.max_consecutive.items():
            for clip_id in [clip_id for clip_id, failed in times.items() if failed <= since]:
                del times[clip_id]
                error = self.failed.get(clip_id)
                if outcome is Outcome.UNCONFIRMED and error and error.outcome is outcome:
                    self.ledger.add(missing_clip(clip_id, str(self.failed.pop(clip_id))))

    def _can_still_download(self) -> bool:
        """Download an earlier video again, to distinguish a gone video from a blocked address."""
        had = [clip_id for clip_id, record in self.ledger.records.items() if record.status == "ok"]
        for clip_id in had[-3:]:
            since = time.monotonic()
            try:
                with self._own_folder() as folder:
                    fetch_video(segment_of(clip_id), folder, self.access)
            except FetchError:
                continue
            self._trust(since)
            return True
        return False

    def _count(self, clip_id: str, error: FetchError) -> None:
        """Count a failure; stop the run after too many consecutive ones."""
        clip_ids = self.max_consecutive[error.outcome]
        clip_ids[clip_id] = time.monotonic()
        waits_too_long = error.retry_after > self.retry_policy.longest_backoff
        if len(clip_ids) < self.retry_policy.max_consecutive[error.outcome] and not waits_too_long:
            return
        if error.outcome not in _REFUSALS and not waits_too_long and self._can_still_download():
            return
        raise self._too_many(error.outcome, error)

    def _too_many(self, outcome: Outcome, error: FetchError) -> AvsedError:
        n_videos = len(self.max_consecutive[outcome])
        n_had = sum(record.status == "ok" for record in self.ledger.records.values())
        return AvsedError(
            f"{n_videos} videos in a row: {error}. {_remedy(error)} {n_had:,} clips are kept, "
            "none was recorded as gone because of this; the same command continues"
        )


def _remedy(error: FetchError) -> str:
    if error.outcome is Outcome.TEMPORARY:
        return (
            "Check the network, and update yt-dlp (pip install --upgrade 'yt-dlp[default,deno]')."
        )
    wait = f"wait {error.retry_after / 60:.0f} minutes, " if error.retry_after else "wait an hour, "
    return (
        f"YouTube seems to block this address: {wait}give the cookies of a signed-in browser "
        "(download.cookies), go slower (download.sleep) or use another address (download.proxy)."
    )
