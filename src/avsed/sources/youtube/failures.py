"""Tell apart why a video was not had: gone, perhaps gone, blocked, throttled, or not this time.

YouTube's reason stands in yt-dlp's message as YouTube words it, in English. Only what says of the
video that it is gone may be recorded as such; a robot check is a fact about the address.
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
    """What follows from a failure."""

    GONE = "gone"  # for good: recorded, and not tried again
    UNCONFIRMED = "unconfirmed"  # gone, unless nothing else is answered either
    BLOCKED = "blocked"  # the address is refused, whatever the video
    THROTTLED = "throttled"  # likewise, for a while
    TEMPORARY = "temporary"  # tried again


AGE_RESTRICTED = "age-restricted"

# What a message says, what follows, and what to call it in reports. The first that fits counts:
# a refused address may also read "unavailable", and a country's copyright case is the country's.
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
    # What is left of "sign in" asks for it before any video.
    ("Please sign in", Outcome.BLOCKED, "robot check"),
    ("not available on this app", Outcome.TEMPORARY, "not delivered"),  # of yt-dlp's disguise
    ("Giving up after", Outcome.TEMPORARY, "network"),
    ("Video unavailable", Outcome.UNCONFIRMED, "unavailable"),
    ("video is unavailable", Outcome.UNCONFIRMED, "unavailable"),
    ("video is not available", Outcome.UNCONFIRMED, "unavailable"),
    ("video isn't available", Outcome.UNCONFIRMED, "unavailable"),
    ("no longer available", Outcome.UNCONFIRMED, "unavailable"),
)

LEAST_ROOM = 2**20  # bytes without which nothing can be fetched
_LONGEST_REASON = 200  # characters
# Where yt-dlp's own advice, meant for its command line, begins.
_ADVICE = re.compile(
    r"\.? Use --cookies| You might want to use a VPN| It is recommended to use"
    r"|;? please report this issue| \(caused by "
)


@dataclass(eq=False)
class FetchError(Exception):
    """A clip was not had.

    Attributes:
        outcome: what follows.
        category: a word or two for reports.
        reason: what was said, in one line.
        retry_after: seconds that the server asks to wait for.
    """

    outcome: Outcome
    category: str
    reason: str
    retry_after: float = 0.0

    def __str__(self) -> str:
        """Return category and reason."""
        return f"{self.category}: {self.reason}"


def explain(error: Exception) -> FetchError:
    """Say what follows from an exception of yt-dlp."""
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
    # Only of the video's page: addresses of its media run out, and are then asked for anew.
    if refusal.status in (404, 410) and "unable to download webpage" in said:
        return FetchError(Outcome.UNCONFIRMED, "not found", reason)
    return FetchError(Outcome.TEMPORARY, "network", reason, wait)


def disk_trouble(error: BaseException, folder: Path) -> OSError | None:
    """Find out whether an exception of yt-dlp comes of a disk that is full or closed to us.

    Args:
        error: the exception.
        folder: in which it writes.
    """
    number = next(
        (
            cause.errno
            for cause in _causes(error)
            if isinstance(cause, OSError) and cause.errno in DISK_TROUBLE
        ),
        None,
    )
    # The programs that it calls do not say why they fail.
    if number is None and shutil.disk_usage(folder).free < LEAST_ROOM:
        number = errno.ENOSPC
    return OSError(number, os.strerror(number), str(folder)) if number else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk through all exceptions behind one; yt-dlp keeps them in several places."""
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
    """Keep what was said: no address of yt-dlp's help, no control characters, straight quotes."""
    line = re.sub(r"[\x00-\x20\x7f-\xa0]+", " ", message.replace("\u2019", "'")).strip()
    line = re.sub(r"^ERROR: ", "", line)
    line = re.sub(r"^\[[\w:]+\] (\S+: )?", "", line)
    line = _ADVICE.split(line)[0]
    return line[:_LONGEST_REASON].rstrip()


def _seconds(retry_after: str) -> float:
    """Read a Retry-After header: seconds, or a date."""
    if re.fullmatch(r"[0-9]{1,6}", retry_after.strip()):
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after).astimezone(UTC)
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
