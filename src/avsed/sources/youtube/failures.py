"""Classify failed downloads: gone, possibly gone, blocked, throttled, temporary.

yt-dlp's message contains YouTube's reason in English. Only reasons that refer to the video itself
are recorded as gone; a bot check refers to the address.
"""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from pathlib import Path

from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import GeoRestrictedError

from avsed.errors import DISK_TROUBLE


class Outcome(Enum):
    """The consequence of a failure."""

    GONE = "gone"  # permanent: recorded, and not retried
    UNCONFIRMED = "unconfirmed"  # gone, unless nothing else can be downloaded either
    BLOCKED = "blocked"  # the address is blocked, for all videos
    THROTTLED = "throttled"  # the address is blocked for a while
    TEMPORARY = "temporary"  # retried


AGE_RESTRICTED = "age-restricted"

# Words of a message, the outcome, and the category for reports. The first match counts: messages
# about blocked addresses can also contain "unavailable".
ERROR_PATTERNS: tuple[tuple[str, Outcome, str], ...] = (
    ("not a bot", Outcome.BLOCKED, "robot check"),
    ("captcha challenge", Outcome.BLOCKED, "robot check"),
    ("rate-limited by YouTube", Outcome.BLOCKED, "rate limit"),
    ("content isn't available, try again later", Outcome.BLOCKED, "rate limit"),
    ("Your IP is likely being blocked", Outcome.BLOCKED, "address blocked"),
    ("confirm your age", Outcome.GONE, AGE_RESTRICTED),
    ("age-restricted", Outcome.GONE, AGE_RESTRICTED),
    ("inappropriate for some users", Outcome.GONE, AGE_RESTRICTED),
    ("available in your country", Outcome.GONE, "blocked in this country"),
    ("blocked it in your country", Outcome.GONE, "blocked in this country"),
    ("due to geo restriction", Outcome.GONE, "blocked in this country"),
    ("Private video", Outcome.GONE, "private"),
    ("video is private", Outcome.GONE, "private"),
    ("account associated with this video has been terminated", Outcome.GONE, "account closed"),
    ("closed their YouTube account", Outcome.GONE, "account closed"),
    ("copyright claim", Outcome.GONE, "copyright"),
    ("on copyright grounds", Outcome.GONE, "copyright"),
    ("removed by the uploader", Outcome.GONE, "removed"),
    ("removed for violating", Outcome.GONE, "removed"),
    ("This video has been removed", Outcome.GONE, "removed"),
    ("video does not exist", Outcome.GONE, "removed"),
    ("members-only", Outcome.GONE, "members only"),
    ("Join this channel", Outcome.GONE, "members only"),
    ("requires payment", Outcome.GONE, "members only"),
    ("DRM protected", Outcome.GONE, "protected"),
    ("live stream recording is not available", Outcome.GONE, "removed"),
    # Other messages with "sign in" require it for any video.
    ("Please sign in", Outcome.BLOCKED, "robot check"),
    ("not available on this app", Outcome.TEMPORARY, "not delivered"),  # of yt-dlp's client
    ("Giving up after", Outcome.TEMPORARY, "network"),
    ("Video unavailable", Outcome.UNCONFIRMED, "unavailable"),
    ("video is unavailable", Outcome.UNCONFIRMED, "unavailable"),
    ("video is not available", Outcome.UNCONFIRMED, "unavailable"),
    ("video isn't available", Outcome.UNCONFIRMED, "unavailable"),
    ("no longer available", Outcome.UNCONFIRMED, "unavailable"),
)

LEAST_ROOM = 2**20  # bytes of disk space needed for a download
_LONGEST_REASON = 200  # characters
# The beginning of yt-dlp's advice about its own command line.
_ADVICE = re.compile(
    r"\.? Use --cookies| You might want to use a VPN| It is recommended to use"
    r"|;? please report this issue| \(caused by "
)


@dataclass(eq=False)
class FetchError(Exception):
    """A clip could not be downloaded.

    Attributes:
        outcome: the consequence.
        category: a word or two for reports.
        reason: the message, in one line.
        retry_after: seconds to wait, as requested by the server.
    """

    outcome: Outcome
    category: str
    reason: str
    retry_after: float = 0.0

    def __str__(self) -> str:
        """Return category and reason."""
        return f"{self.category}: {self.reason}"


def explain(error: Exception) -> FetchError:
    """Classify an exception of yt-dlp."""
    reason = one_line(str(error))
    if any(isinstance(cause, GeoRestrictedError) for cause in _causes(error)):
        return FetchError(Outcome.GONE, "blocked in this country", reason)
    said = reason.casefold()
    for words, outcome, category in ERROR_PATTERNS:
        if words.casefold() in said:
            return FetchError(outcome, category, reason)
    refusal = next((cause for cause in _causes(error) if isinstance(cause, HTTPError)), None)
    if refusal is None:
        lost = any(isinstance(cause, TransportError) for cause in _causes(error))
        return FetchError(Outcome.TEMPORARY, "network" if lost else "not delivered", reason)
    refusal.close()
    wait = _seconds(refusal.response.headers.get("Retry-After", ""))
    if refusal.status == 429:
        return FetchError(Outcome.THROTTLED, "rate limit", reason, wait)
    # For the page of the video only: URLs of media expire and are then requested again.
    if refusal.status in (404, 410) and "unable to download webpage" in said:
        return FetchError(Outcome.UNCONFIRMED, "not found", reason)
    return FetchError(Outcome.TEMPORARY, "network", reason, wait)


def disk_trouble(error: BaseException, folder: Path) -> OSError | None:
    """Return the disk error behind an exception of yt-dlp, if there is one.

    Args:
        error: the exception.
        folder: the folder that yt-dlp writes to.
    """
    number = next(
        (
            cause.errno
            for cause in _causes(error)
            if isinstance(cause, OSError) and cause.errno in DISK_TROUBLE
        ),
        None,
    )
    # The programs that yt-dlp calls do not report why they fail.
    if number is None and shutil.disk_usage(folder).free < LEAST_ROOM:
        number = errno.ENOSPC
    return OSError(number, os.strerror(number), str(folder)) if number else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield all exceptions behind one; yt-dlp keeps them in several attributes."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        kept = getattr(cause, "exc_info", None) or (None, None)
        waiting += [
            getattr(cause, "cause", None),
            kept[1],
            cause.__cause__,
            cause.__context__,
        ]


def one_line(message: str) -> str:
    """Clean a message: remove URLs of yt-dlp's help and control characters, straighten quotes."""
    line = re.sub(r"[\x00-\x20\x7f-\xa0]+", " ", message.replace("\u2019", "'")).strip()
    line = re.sub(r"^ERROR: ", "", line)
    line = re.sub(r"^\[[\w:]+\] (\S+: )?", "", line)
    line = _ADVICE.split(line)[0]
    return line[:_LONGEST_REASON].rstrip()


def _seconds(retry_after: str) -> float:
    """Parse a Retry-After header: seconds or a date."""
    if re.fullmatch(r"[0-9]{1,6}", retry_after.strip()):
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after).astimezone(UTC)
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
