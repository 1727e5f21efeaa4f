"""Classification of failed downloads, with the messages that yt-dlp raises."""

from pathlib import Path
from typing import Any

import pytest
import yt_dlp
from yt_dlp.extractor.youtube import YoutubeIE
from yt_dlp.utils import DownloadError

from avsed.sources.youtube.failures import ERROR_PATTERNS, FetchError, Outcome, explain
from avsed.sources.youtube.fetching import YOUTUBE, Access, fetch_video
from avsed.sources.youtube.lists import segment_of

SEGMENT = segment_of("Y-bcdefghij__30.000_40.000")
ACCESS = Access(site=YOUTUBE, cookies=None, proxy=None, pause=0, long_video=7200, socket_timeout=1)

# What the table looks for, and what YouTube answers: a reason and what stands below it.
BELOW = "Video unavailable"
FROM_YOUTUBE = {
    "not a bot": ("Sign in to confirm you\u2019re not a bot", "This helps protect our community."),
    "content isn't available, try again later": (
        "This content isn't available, try again later.",
        "",
    ),
    "rate-limited by YouTube": ("This content isn't available, try again later", ""),
    "confirm your age": ("Sign in to confirm your age", ""),
    "age-restricted": ("This video is age-restricted and only available on YouTube", ""),
    "inappropriate for some users": ("This video may be inappropriate for some users.", ""),
    "available in your country": (
        BELOW,
        "The uploader has not made this video available in your country",
    ),
    "blocked it in your country": (
        BELOW,
        "This video contains content from UMG, who has blocked it in your country on copyright "
        "grounds",
    ),
    "Private video": ("Private video", "Sign in if you've been granted access to this video"),
    "video is private": (BELOW, "This video is private"),
    "account associated with this video has been terminated": (
        BELOW,
        "This video is no longer available because the YouTube account associated with this video "
        "has been terminated.",
    ),
    "closed their YouTube account": (
        BELOW,
        "This video is no longer available because the uploader has closed their YouTube account.",
    ),
    "copyright claim": (
        BELOW,
        "This video is no longer available due to a copyright claim by WMG",
    ),
    "on copyright grounds": (
        BELOW,
        "This video contains content from SME, who has blocked it on copyright grounds",
    ),
    "removed by the uploader": (BELOW, "This video has been removed by the uploader"),
    "removed for violating": (
        "This video has been removed for violating YouTube's policy on hate speech.",
        "",
    ),
    "This video has been removed": ("This video has been removed", ""),
    "video does not exist": ("This video does not exist.", ""),
    "members-only": ("Join this channel to get access to members-only content", ""),
    "Join this channel": ("Join this channel to get access to perks", ""),
    "requires payment": ("This video requires payment to watch", ""),
    "live stream recording is not available": ("This live stream recording is not available.", ""),
    "Please sign in": ("Please sign in", ""),
    "not available on this app": (
        "The following content is not available on this app",
        "Watch on the latest version of YouTube",
    ),
    "Video unavailable": ("Video unavailable", "This content isn\u2019t available."),
    "video is unavailable": ("This video is unavailable", ""),
    "video is not available": ("This video is not available", ""),
    "video isn't available": ("This video isn\u2019t available anymore", ""),
    "no longer available": ("This content is no longer available", ""),
}
# What yt-dlp itself says, and the file of its source that says it.
FROM_YT_DLP = {
    "captcha challenge": "extractor/youtube/_video.py",
    "rate-limited by YouTube": "extractor/youtube/_video.py",
    "Your IP is likely being blocked": "extractor/youtube/_video.py",
    "due to geo restriction": "extractor/common.py",
    "DRM protected": "extractor/common.py",
    "Giving up after": "utils/_utils.py",
}


def outcome_of(words: str) -> tuple[Outcome, str]:
    return next((outcome, kind) for saying, outcome, kind in ERROR_PATTERNS if saying == words)


def answer(monkeypatch: pytest.MonkeyPatch, status: dict[str, Any]) -> None:
    """Return what yt-dlp's own extractor raises for an answer of YouTube."""
    details = {"videoId": SEGMENT.video_id, "title": "a title"}
    responses = [{"playabilityStatus": status, "videoDetails": details}]
    monkeypatch.setattr(
        YoutubeIE, "_initial_extract", lambda *_: ("", {}, {}, False, responses, None)
    )


def fetch(tmp_path: Path) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch_video(SEGMENT, tmp_path, ACCESS)
    return caught.value


def test_every_message_of_the_table_has_a_test() -> None:
    assert FROM_YOUTUBE.keys() | FROM_YT_DLP.keys() == {words for words, _, _ in ERROR_PATTERNS}


@pytest.mark.parametrize("words", FROM_YOUTUBE)
def test_youtubes_answer_is_told_apart(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason, below = FROM_YOUTUBE[words]
    screen = {"playerErrorMessageRenderer": {"subreason": {"simpleText": below}}}
    answer(monkeypatch, {"status": "ERROR", "reason": reason, "errorScreen": screen})
    error = fetch(tmp_path)
    assert (error.outcome, error.category) == outcome_of(words)
    assert "--" not in error.reason
    assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize(("words", "file"), FROM_YT_DLP.items())
def test_what_yt_dlp_says_stands_in_its_source_and_is_told_apart(words: str, file: str) -> None:
    source = (Path(yt_dlp.__file__).parent / file).read_text("utf-8")
    assert words in source
    error = explain(DownloadError(f"ERROR: [youtube] {SEGMENT.video_id}: So it is. {words}; more"))
    assert (error.outcome, error.category) == outcome_of(words)
    assert error.reason == f"So it is. {words}; more"


def test_a_captcha_is_a_robot_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = {"playerCaptchaViewModel": {"any": "thing"}}
    answer(
        monkeypatch,
        {"status": "UNPLAYABLE", "reason": "Video unavailable", "errorScreen": screen},
    )
    assert fetch(tmp_path).outcome is Outcome.BLOCKED


def test_a_video_without_formats_may_have_some_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, {"status": "OK"})
    error = fetch(tmp_path)
    assert (error.outcome, error.category) == (Outcome.TEMPORARY, "not delivered")


def test_a_reason_is_one_short_line_without_control_characters() -> None:
    error = explain(DownloadError("ERROR: [youtube] abc: Private\x1b[31m\n  video\x00" + "x" * 999))
    assert error.reason.startswith("Private [31m video x")
    assert error.reason.isprintable()
    assert len(error.reason) <= 200
