"""Download all clips from YouTube, resuming after failures and kills (Section 4.1)."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from avsed.dataset.clips import ClipRecord, failed_clip
from avsed.dataset.ffmpeg import ffmpeg_path
from avsed.params import Download
from avsed.runtime.store import publish, store_dir
from avsed.sources.youtube.failures import FetchError
from avsed.sources.youtube.fetching import YOUTUBE, Access, Site, read_cookies
from avsed.sources.youtube.ledger import media_path, open_ledger
from avsed.sources.youtube.lists import segment_of
from avsed.sources.youtube.recovery import recover_clips
from avsed.sources.youtube.scheduling import RetryPolicy, Schedule

VIDEO_TO_REQUEST = (
    16  # the pause between videos as a multiple of the pause between requests, as yt-dlp advises
)


def download_clips(
    clip_ids: Sequence[str],
    download: Download,
    *,
    clips_dir: Path,
    table_path: Path,
    site: Site = YOUTUBE,
    retry_policy: RetryPolicy | None = None,
) -> list[ClipRecord]:
    """Download the clips that are neither in the store nor in the last commit.

    Args:
        clip_ids: clips, named `Y<video id>_<start>_<end>`.
        download: cookies, proxy and rate.
        clips_dir: DVC's output for the media; gets one mp4 file per clip.
        table_path: DVC's output for the records; only read from the last commit.
        site: the video site.
        retry_policy: waits, attempts and limits.

    Returns:
        One record per clip: ok; unavailable, if the video is gone; or failed, which the next run
        retries.

    Raises:
        AvsedError: if the site blocks this address, or cannot be reached. Downloaded clips are
            kept, and no clip is recorded as gone because of it.
    """
    retry_policy = retry_policy or RetryPolicy()
    access = Access(
        site=site,
        cookies=read_cookies(download.cookies) if download.cookies else None,
        proxy=download.proxy,
        pause=download.sleep / VIDEO_TO_REQUEST,
        long_video=retry_policy.long_video,
        socket_timeout=retry_policy.socket_timeout,
    )
    segments = [segment_of(clip_id) for clip_id in clip_ids]
    with open_ledger(waits=True) as ledger:
        ledger.reconcile(clip_ids)
        recover_clips(ledger, clip_ids, clips_dir=clips_dir, table_path=table_path)
        if download.cookies:
            ledger.retry_age_restricted()
        wanted = [segment for segment in segments if not ledger.is_settled(segment.clip_id)]
        failed: dict[str, FetchError] = {}
        if wanted:
            _announce(len(wanted), len(segments), download)
            _offer_ffmpeg()
            schedule = Schedule(ledger, wanted, download, access, retry_policy)
            failed = schedule.fetch_all(len(segments))
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
        f"{n_wanted:,} of {n_clips:,} clips to download from YouTube, one every "
        f"{download.sleep:g} s: {time_needed} or more. "
        "You can stop at any time; the same command continues.",
        flush=True,
    )


def _offer_ffmpeg() -> None:
    """Add ffmpeg to PATH: yt-dlp looks for it only there to download parts of videos."""
    if shutil.which("ffmpeg") is None:
        link = store_dir() / "bin" / "ffmpeg"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(ffmpeg_path())
        os.environ["PATH"] += os.pathsep + str(link.parent.resolve())
