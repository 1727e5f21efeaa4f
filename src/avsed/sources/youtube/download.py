"""Fetch all clips from YouTube: slowly, over days, through failures and kills (Section 4.1).

Videos are fetched and cut in threads; all that is decided or recorded happens in the thread that
calls. A clip is recorded once its media lie in the store, so that a kill loses those in work only.
"""

import os
import queue
import random
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from avsed.clips import ClipRecord, failed_clip, missing_clip
from avsed.config import Download
from avsed.errors import AvsedError
from avsed.media import ffmpeg_path
from avsed.sources.youtube.committed import recover_clips
from avsed.sources.youtube.cutting import cut_clip
from avsed.sources.youtube.failures import AGE_RESTRICTED, FetchError, Outcome
from avsed.sources.youtube.fetching import (
    LONG_VIDEO,
    SOCKET_TIMEOUT,
    YOUTUBE,
    Access,
    Site,
    fetch_video,
    read_cookies,
)
from avsed.sources.youtube.ledger import Ledger, media_path, open_ledger
from avsed.sources.youtube.lists import Segment, segment_of
from avsed.store import publish, store_dir

VIDEO_TO_REQUEST = 16  # the pause between videos, in pauses between requests; as yt-dlp advises


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait, and how much to bear.

    Attributes:
        attempts: at a clip, before it counts as failed in this run.
        backoff: seconds before the second attempt; doubled for each further one, give or take
            half at random.
        longest_backoff: seconds.
        socket_timeout: seconds without a byte.
        long_video: seconds; of longer videos only a part is fetched.
        in_a_row: clips in a row, without any other answer between them, whose failure ends the run.
    """

    attempts: int = 4
    backoff: float = 30.0
    longest_backoff: float = 1800.0
    socket_timeout: float = SOCKET_TIMEOUT
    long_video: float = LONG_VIDEO
    in_a_row: dict[Outcome, int] = field(
        default_factory=lambda: {
            Outcome.BLOCKED: 3,
            Outcome.THROTTLED: 6,
            Outcome.DOUBTFUL: 10,
            Outcome.PASSING: 10,
        }
    )


@dataclass(order=True)
class _Wanted:
    """A clip to fetch, not before its time."""

    due: float  # of time.monotonic()
    segment: Segment = field(compare=False)
    attempts: int = field(default=0, compare=False)


def download_clips(
    clip_ids: Sequence[str],
    download: Download,
    *,
    clips_dir: Path,
    table_path: Path,
    site: Site = YOUTUBE,
    patience: Patience | None = None,
) -> list[ClipRecord]:
    """Fetch the clips that neither the store nor the last commit has.

    Args:
        clip_ids: clips, named `Y<video id>_<start>_<end>`.
        download: cookies, proxy and pace.
        clips_dir: DVC's output for their media; becomes an mp4 file for each.
        table_path: DVC's output for their records, which is read in the last commit only.
        site: where to ask.
        patience: how long to wait, and how much to bear.

    Returns:
        A record of each clip: ok; unavailable, whose video is gone; or failed, which is tried
        again in the next run.

    Raises:
        AvsedError: if the site refuses this address, or nothing can be reached. What was fetched
            is kept, and no clip is recorded as gone for it.
    """
    patience = patience or Patience()
    access = Access(
        site=site,
        cookies=read_cookies(download.cookies) if download.cookies else None,
        proxy=download.proxy,
        pause=download.sleep / VIDEO_TO_REQUEST,
        long_video=patience.long_video,
        socket_timeout=patience.socket_timeout,
    )
    segments = [segment_of(clip_id) for clip_id in clip_ids]
    with open_ledger(waits=True) as ledger:
        ledger.settle(clip_ids, has_cookies=download.cookies is not None)
        recover_clips(ledger, clip_ids, clips_dir=clips_dir, table_path=table_path)
        wanted = [segment for segment in segments if not ledger.is_settled(segment.clip_id)]
        failed: dict[str, FetchError] = {}
        if wanted:
            _announce(len(wanted), len(segments), download)
            _offer_ffmpeg()
            run = _Run(ledger, wanted, download, access, patience)
            failed = run.fetch_all(len(segments))
        records = [
            failed_clip(clip_id, str(failed[clip_id]))
            if clip_id in failed
            else ledger.records[clip_id]
            for clip_id in clip_ids
        ]
    for record in records:
        if record.status == "ok":
            publish(media_path(record.clip_id), clips_dir / record.file)
    return records


def _announce(n_wanted: int, n_clips: int, download: Download) -> None:
    minutes = n_wanted * download.sleep / 60
    time_needed = f"{minutes / 60:.0f} hours" if minutes > 90 else f"{minutes:.0f} minutes"
    print(
        f"{n_wanted:,} of {n_clips:,} clips to ask YouTube for, one every {download.sleep:g} s: "
        f"{time_needed} or more. It may be stopped at any time; the same command goes on.",
        flush=True,
    )


def _offer_ffmpeg() -> None:
    """Put ffmpeg into PATH: for parts of videos, yt-dlp looks for it there only."""
    if shutil.which("ffmpeg") is None:
        link = store_dir() / "bin" / "ffmpeg"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(ffmpeg_path())
        os.environ["PATH"] += os.pathsep + str(link.parent.resolve())


class _Run:
    """One run over the clips that are wanted."""

    def __init__(
        self,
        ledger: Ledger,
        wanted: Iterable[Segment],
        download: Download,
        access: Access,
        patience: Patience,
    ) -> None:
        self.ledger = ledger
        self.download = download
        self.access = access
        self.patience = patience
        self.fresh = deque(_Wanted(due=0.0, segment=segment) for segment in wanted)
        self.retries: list[_Wanted] = []  # a heap
        self.results: queue.SimpleQueue[tuple[_Wanted, ClipRecord | BaseException]] = (
            queue.SimpleQueue()
        )
        self.n_running = 0
        self.next_start = 0.0
        self.in_a_row: dict[Outcome, set[str]] = {outcome: set() for outcome in Outcome}
        self.doubtful: dict[str, FetchError] = {}
        self.failed: dict[str, FetchError] = {}

    def fetch_all(self, n_clips: int) -> dict[str, FetchError]:
        """Fetch until every clip is had, gone or failed; returns the failed ones."""
        progress: tqdm[NoReturn] = tqdm(
            total=n_clips,
            initial=n_clips - len(self.fresh),
            desc="clips",
            unit="clip",
            mininterval=1 if sys.stderr.isatty() else 60,  # a line each, in a log
        )
        with progress:
            while self.fresh or self.retries or self.n_running:
                self._start_due()
                try:
                    wanted, result = self.results.get(timeout=self._until_next_start())
                except queue.Empty:
                    continue
                self.n_running -= 1
                progress.update(self._settle(wanted, result))
                progress.set_postfix_str(self._state(), refresh=False)
        if self.doubtful and self._others_are_had():
            self._believe_doubtful()
        return self.failed | self.doubtful

    def _state(self) -> str:
        seconds = self.next_start - time.monotonic() - self.download.sleep
        waits = f", waiting {seconds:.0f} s" if seconds > 1 else ""
        return f"{len(self.failed) + len(self.doubtful)} failed{waits}"

    def _start_due(self) -> None:
        while self._until_next_start() == 0:
            is_due = self.retries and self.retries[0].due <= time.monotonic()
            wanted = heappop(self.retries) if is_due or not self.fresh else self.fresh.popleft()
            threading.Thread(target=self._fetch, args=(wanted,), daemon=True).start()
            self.n_running += 1
            self._pause(self.download.sleep * random.uniform(0.75, 1.25))  # noqa: S311

    def _until_next_start(self) -> float | None:
        """Seconds until another clip may be started; None if only a result can change that."""
        if self.n_running >= self.download.jobs or not (self.fresh or self.retries):
            return None
        due = 0.0 if self.fresh else self.retries[0].due
        return max(0.0, max(self.next_start, due) - time.monotonic())

    def _pause(self, seconds: float) -> None:
        self.next_start = max(self.next_start, time.monotonic() + seconds)

    def _fetch(self, wanted: _Wanted) -> None:
        """Fetch and cut one clip, in a thread of its own."""
        segment = wanted.segment
        folder = self.ledger.work_dir / segment.clip_id
        result: ClipRecord | BaseException
        try:
            folder.mkdir(parents=True)
            video = fetch_video(segment, folder, self.access)
            part = folder / f"{segment.clip_id}.mp4"
            result = cut_clip(video, segment, part)
            part.replace(media_path(segment.clip_id))
        except BaseException as error:  # handed to the thread that decides
            result = error
        shutil.rmtree(folder, ignore_errors=True)
        self.results.put((wanted, result))

    def _settle(self, wanted: _Wanted, result: ClipRecord | BaseException) -> int:
        """Record a result, or plan another attempt; returns how many clips are done by it."""
        clip_id = wanted.segment.clip_id
        if isinstance(result, ClipRecord):
            self.ledger.add(result)
            self._trust()
            return 1
        if not isinstance(result, FetchError):
            raise result
        if result.outcome is Outcome.GONE:
            if result.kind == AGE_RESTRICTED and self.download.cookies:
                result.kind += " for this account too"
            self.ledger.add(missing_clip(clip_id, str(result)))
            self._trust()
            return 1
        self._count(clip_id, result)
        if result.outcome is Outcome.DOUBTFUL:
            self.doubtful[clip_id] = result
            return 1
        wanted.attempts += 1
        if wanted.attempts >= self.patience.attempts:
            self.failed[clip_id] = result
            return 1
        self._plan_another(wanted, result)
        return 0

    def _plan_another(self, wanted: _Wanted, error: FetchError) -> None:
        # What refuses the address grows with each clip that it refuses.
        is_refused = error.outcome in (Outcome.BLOCKED, Outcome.THROTTLED)
        doublings = max(len(self.in_a_row[error.outcome]) if is_refused else 0, wanted.attempts) - 1
        jitter = random.uniform(0.5, 1.5)  # noqa: S311
        backoff = min(self.patience.backoff * 2**doublings, self.patience.longest_backoff)
        seconds = max(backoff * jitter, error.retry_after)
        if is_refused:
            self._pause(seconds)
        wanted.due = time.monotonic() + seconds
        heappush(self.retries, wanted)

    def _trust(self) -> None:
        """Note an answer that only an address which is not blocked gets."""
        for clip_ids in self.in_a_row.values():
            clip_ids.clear()
        self._believe_doubtful()

    def _believe_doubtful(self) -> None:
        for clip_id, error in self.doubtful.items():
            self.ledger.add(missing_clip(clip_id, str(error)))
        self.doubtful.clear()

    def _others_are_had(self) -> bool:
        """Fetch again what was had before, to tell a gone video from a blocked address."""
        had = [clip_id for clip_id, record in self.ledger.records.items() if record.status == "ok"]
        for clip_id in had[-3:]:
            folder = self.ledger.work_dir / f"again-{clip_id}"
            try:
                folder.mkdir(parents=True)
                fetch_video(segment_of(clip_id), folder, self.access)
            except FetchError:
                continue
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return True
        return False

    def _count(self, clip_id: str, error: FetchError) -> None:
        """Count a failure, and end the run if too many clips fail in a row."""
        clip_ids = self.in_a_row[error.outcome]
        clip_ids.add(clip_id)
        waits_too_long = error.retry_after > self.patience.longest_backoff
        if len(clip_ids) < self.patience.in_a_row[error.outcome] and not waits_too_long:
            return
        if error.outcome in (Outcome.DOUBTFUL, Outcome.PASSING) and self._others_are_had():
            self._trust()
            return
        n_had = sum(record.status == "ok" for record in self.ledger.records.values())
        raise AvsedError(
            f"{len(clip_ids)} videos in a row: {error}. {_remedy(error)} {n_had:,} clips are kept, "
            "none was recorded as gone for this, and the same command goes on"
        )


def _remedy(error: FetchError) -> str:
    if error.outcome is Outcome.PASSING:
        return (
            "Check the network, and that yt-dlp is the newest (pip install --upgrade "
            "'yt-dlp[default,deno]')."
        )
    wait = f"wait {error.retry_after / 60:.0f} minutes, " if error.retry_after else "wait an hour, "
    return (
        f"YouTube seems to refuse this address: {wait}give the cookies of a signed-in browser "
        "(download.cookies), go slower (download.sleep) or use another address (download.proxy)."
    )
