"""Events that are confirmed, corrected, deleted and added on the page of a prediction."""

from dataclasses import replace
from pathlib import Path

import pytest

from avsed.prediction.page import write_page
from avsed.prediction.predict import Prediction
from tests.conftest import run_avsed
from tests.helpers.browser import Browser, wait
from tests.helpers.models import write_model
from tests.prediction.test_page import LABEL, film, opened, predicted

pytestmark = pytest.mark.slow

DOG = ["2.00", "5.00", "Dog", "unconfirmed"]
OTHER = ["6.50", "7.00", LABEL, "unconfirmed"]
HEADER = "filename\tonset\toffset\tevent_label\n"
KEYS = {" ": ("Space", 32), "c": ("KeyC", 67), "Delete": ("Delete", 46), "Enter": ("Enter", 13)}
KEYS |= {"ArrowDown": ("ArrowDown", 40), "ArrowUp": ("ArrowUp", 38), "Tab": ("Tab", 9)}
TEXTS = {" ": " ", "c": "c", "Enter": "\r"}


@pytest.fixture
def prediction(tmp_path: Path) -> Prediction:
    """Return a prediction of a file that no other test has, since browsers keep work by name."""
    return predicted(film(tmp_path / f"{tmp_path.name}.mkv", "-vn"), video=False)


@pytest.fixture
def page(browser: Browser, prediction: Prediction, tmp_path: Path) -> Browser:
    """Open the page of the prediction, and let downloads go to the folder of the test."""
    opened(browser, prediction, tmp_path / "page.html")
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    return browser


def rows(page: Browser) -> list[list[str]]:
    """Return the cells of the table of events."""
    found = page.run("[...element('rows').rows].map((r) => [...r.cells].map((c) => c.textContent))")
    return [list(map(str, cells)) for cells in found]


def text(page: Browser, name: str) -> str:
    return str(page.run(f"element('{name}').textContent"))


def click(page: Browser, name: str) -> None:
    page.run(f"element('{name}').click()")


def focus_row(page: Browser, index: int) -> None:
    page.run(f"element('rows').rows[{index}].querySelector('button').focus()")


def press(page: Browser, key: str) -> None:
    code, number = KEYS[key]
    text = {"text": TEXTS[key]} if key in TEXTS else {}
    page.send("Input.dispatchKeyEvent", type="keyDown", key=key, code=code,
              windowsVirtualKeyCode=number, **text)  # fmt: skip
    page.send("Input.dispatchKeyEvent", type="keyUp", key=key, code=code,
              windowsVirtualKeyCode=number)  # fmt: skip


def type_time(page: Browser, name: str, time: str) -> None:
    """Replace the time in a field, and leave the field."""
    page.run(f"element('{name}').focus(); element('{name}').select()")
    page.send("Input.insertText", text=time)
    press(page, "Tab")


def drag(page: Browser, track: int, start: float, end: float) -> None:
    """Drag the mouse on the timeline of a class, between two times of 8 s."""
    page.run("tracks.scrollIntoView({block: 'center'})")
    left, top, width, height = page.run(
        f"(({{x, y, width, height}}) => [x, y, width, height])"
        f"(tracks.children[{track}].getBoundingClientRect())"
    )
    y = top + height / 2
    x, last = left + start / 8 * width, left + end / 8 * width
    mouse = {"y": y, "button": "left", "clickCount": 1}
    page.send("Input.dispatchMouseEvent", type="mousePressed", x=x, **mouse)
    for place in ((x + last) / 2, last):
        page.send("Input.dispatchMouseEvent", type="mouseMoved", x=place, buttons=1, **mouse)
    page.send("Input.dispatchMouseEvent", type="mouseReleased", x=last, **mouse)


def saved(page: Browser, path: Path) -> str:
    """Save the list and return it."""
    path.unlink(missing_ok=True)
    click(page, "save")
    wait(path.exists)
    return path.read_text("utf-8")


def test_keys_confirm_and_delete_the_event_that_has_the_focus(page: Browser) -> None:
    assert rows(page) == [DOG, OTHER]
    focus_row(page, 1)
    press(page, "c")
    assert rows(page) == [DOG, [*OTHER[:3], "confirmed"]]
    press(page, "ArrowUp")
    press(page, "Delete")
    assert rows(page) == [[*OTHER[:3], "confirmed"]]
    # The next event has the focus now.
    press(page, "Delete")
    assert rows(page) == []
    assert page.run("document.activeElement.id") == "add"
    for _ in range(3):
        click(page, "undo")
    assert rows(page) == [DOG, OTHER]
    assert page.run("element('undo').disabled")


def test_space_plays_and_pauses(page: Browser) -> None:
    for focus in (
        "document.activeElement.blur()",
        "element('rows').querySelector('button').focus()",
    ):
        page.run(focus)
        press(page, " ")
        wait(lambda: page.run("!media.paused && media.currentTime > 0"))
        press(page, " ")
        assert page.run("media.paused")
    assert rows(page) == [DOG, OTHER]


def test_typed_times_and_a_chosen_class_correct_an_event(page: Browser) -> None:
    page.run("element('rows').querySelector('button').click()")
    type_time(page, "onset", "2.25")
    assert rows(page)[0] == ["2.25", "5.00", "Dog", "corrected"]
    page.run(
        "element('label').value = prediction.classes[1];"
        "element('label').dispatchEvent(new Event('change', {bubbles: true}))"
    )
    assert rows(page)[0] == ["2.25", "5.00", LABEL, "corrected"]
    assert page.run("[...tracks.children].map((t) => t.querySelectorAll('.event').length)") == [
        0, 2, 0, 0
    ]  # fmt: skip


def test_buttons_confirm_and_delete_and_leave_the_focus_in_the_table(page: Browser) -> None:
    page.run("element('rows').querySelector('button').click(); element('confirm').focus()")
    press(page, "Enter")
    assert rows(page) == [[*DOG[:3], "confirmed"], OTHER]
    assert page.run("eventOf(document.activeElement).label") == "Dog"
    page.run("element('delete').focus()")
    press(page, "Enter")
    press(page, "Enter")
    assert rows(page) == []
    assert page.run("document.activeElement.id") == "add"


def test_a_click_that_ends_typing_selects_another_event(page: Browser) -> None:
    page.run("element('rows').querySelector('button').click()")
    page.run("element('offset').focus(); element('offset').select()")
    page.send("Input.insertText", text="4")
    page.run("element('rows').scrollIntoView({block: 'center'})")
    x, y = page.run(
        "(({x, y}) => [x + 5, y + 5])"
        "(element('rows').rows[1].querySelector('button').getBoundingClientRect())"
    )
    page.click(x, y)
    assert rows(page) == [["2.00", "4.00", "Dog", "corrected"], OTHER]
    assert page.run("selected.label") == LABEL
    wait(lambda: page.run("!media.seeking"))
    assert page.run("media.currentTime") == pytest.approx(6.5, abs=0.05)


@pytest.mark.parametrize(
    ("field", "time", "problem"),
    [
        ("onset", "5", "The onset must be before the offset."),
        ("onset", "-1", "The onset must be a time from 0 to 8 s, the duration of the media."),
        ("offset", "8.5", "The offset must be a time from 0 to 8 s, the duration of the media."),
        ("offset", "", "The offset must be a time from 0 to 8 s, the duration of the media."),
    ],
)
def test_impossible_times_are_refused_and_not_saved(
    field: str, time: str, problem: str, page: Browser, tmp_path: Path
) -> None:
    focus_row(page, 0)
    press(page, "c")
    if time:
        type_time(page, field, time)
    else:
        page.run("element('offset').value = ''; correctByTyping()")
    assert text(page, "problem") == problem
    assert rows(page)[0] == [*DOG[:3], "confirmed"]
    click(page, "save")
    assert page.run("document.activeElement.id") == "onset"
    type_time(page, "onset", "1")
    type_time(page, "offset", "7.9994")
    assert text(page, "problem") == ""
    list_path = tmp_path / f"{tmp_path.name}.mkv.strong.tsv"
    assert not list_path.exists()
    assert saved(page, list_path) == f"{HEADER}{tmp_path.name}.mkv\t1.000\t7.999\tDog\n"


def test_dragging_moves_the_ends_of_events_and_adds_events(page: Browser) -> None:
    drag(page, 0, 5.0, 6.0)
    (onset, offset, *rest), _ = rows(page)
    assert (onset, rest) == ("2.00", ["Dog", "corrected"])
    assert float(offset) == pytest.approx(6.0, abs=0.05)
    # Past the other end, the ends change places; outside, the media's ends are the limits.
    drag(page, 0, 2.0, 7.0)
    assert [float(time) for time in rows(page)[0][:2]] == pytest.approx([6.0, 7.0], abs=0.05)
    drag(page, 1, 3.0, -1.0)
    onset, offset, *rest = rows(page)[0]
    assert (onset, rest) == ("0.00", [LABEL, "added"])
    assert float(offset) == pytest.approx(3.0, abs=0.05)
    # The middle of a bar and the axis have nothing to drag.
    before = rows(page)
    drag(page, 1, 1.5, 2.5)
    drag(page, 2, 1.0, 2.0)
    assert rows(page) == before


def test_a_time_that_is_being_typed_is_applied_before_dragging(page: Browser) -> None:
    page.run("element('rows').querySelector('button').click()")
    page.run("element('onset').focus(); element('onset').select()")
    page.send("Input.insertText", text="3")
    drag(page, 0, 5.0, 6.0)
    onset, offset, *_ = rows(page)[0]
    assert onset == "3.00"
    assert float(offset) == pytest.approx(6.0, abs=0.05)
    assert len(rows(page)) == 2


def test_an_event_is_added_at_the_play_position(page: Browser) -> None:
    page.run("media.currentTime = 0.5")
    click(page, "add")
    assert rows(page)[0] == ["0.50", "1.50", "Dog", "added"]
    assert page.run("document.activeElement.id") == "label"
    page.run("media.currentTime = 8")
    click(page, "add")
    assert rows(page)[-1] == ["7.99", "8.00", "Dog", "added"]


def test_work_survives_a_reload_until_it_is_started_over(
    page: Browser, prediction: Prediction, tmp_path: Path
) -> None:
    focus_row(page, 0)
    press(page, "c")
    page.open(tmp_path / "page.html")
    wait(lambda: rows(page) == [[*DOG[:3], "confirmed"], OTHER])
    assert text(page, "message") == "These are your events of an earlier visit."

    # The same file by another model, and another file of the name.
    write_page(replace(prediction, events=prediction.events[:1]), tmp_path / "other.html")
    page.open(tmp_path / "other.html")
    assert rows(page) == [[*DOG[:3], "confirmed"], OTHER]
    assert "events of another prediction of this file" in text(page, "message")
    click(page, "restart")
    assert rows(page) == [DOG]
    click(page, "undo")
    write_page(replace(prediction, duration=7.5), tmp_path / "longer.html")
    page.open(tmp_path / "longer.html")
    assert rows(page) == [DOG, OTHER]
    assert text(page, "message") == ""


def test_unusable_work_is_not_shown(page: Browser, tmp_path: Path) -> None:
    for work in ("no JSON", "{}", '{"events": [{"onset": 9, "offset": 10, "label": "Dog"}]}'):
        page.run(f"localStorage.setItem(storageKey, {work!r})")
        page.open(tmp_path / "page.html")
        assert rows(page) == [DOG, OTHER]


def test_a_browser_that_keeps_no_work_says_so(page: Browser) -> None:
    page.run("Storage.prototype.setItem = () => { throw new DOMException('full'); }")
    focus_row(page, 0)
    press(page, "c")
    assert rows(page)[0][-1] == "confirmed"
    assert "save it before you close" in text(page, "message")


def test_unconfirmed_events_are_not_saved(page: Browser, tmp_path: Path) -> None:
    assert text(page, "save") == "Save: confirm or delete events first"
    assert page.run("element('save').disabled")
    focus_row(page, 1)
    press(page, "c")
    assert text(page, "save") == "Save 1 confirmed event; 1 unconfirmed is left out"
    assert not page.run("element('left-out').hidden")
    name = f"{tmp_path.name}.mkv"
    expected = f"{HEADER}{name}\t6.500\t7.000\t{LABEL}\n"
    assert saved(page, tmp_path / f"{name}.strong.tsv") == expected
    focus_row(page, 0)
    press(page, "c")
    assert text(page, "save") == "Save 2 confirmed events"
    assert page.run("element('left-out').hidden")
    assert page.complaints == []


def test_a_recording_whose_events_are_all_deleted_has_a_row(page: Browser, tmp_path: Path) -> None:
    focus_row(page, 0)
    press(page, "Delete")
    press(page, "Delete")
    assert text(page, "save") == "Save as a recording without events"
    name = f"{tmp_path.name}.mkv"
    assert saved(page, tmp_path / f"{name}.strong.tsv") == f"{HEADER}{name}\t\t\t\n"


def test_every_control_has_a_name_for_screen_readers(page: Browser) -> None:
    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    controls = {"button", "spinbutton", "combobox", "textbox", "group", "region"}
    found = [
        (node["role"]["value"], node["name"]["value"].strip())
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in controls
    ]
    assert all(name for _, name in found), found
    assert {("spinbutton", "onset (s)"), ("combobox", "event"), ("group", "Selected event")} <= {
        *found
    }
    assert ("button", "Dog 2.00 to 5.00 s, unconfirmed") in found


def test_predicted_events_become_a_training_list(
    browser: Browser,
    clip_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    model_dir = write_model(tmp_path / "spectral", "spectral")
    predict = ("predict", clip_path, "--model", model_dir, "--threshold", "0.35")
    assert run_avsed(monkeypatch, *predict, "--html", "page.html") == 0
    browser.open(tmp_path / "page.html")
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    n_predicted = len(rows(browser))
    assert n_predicted >= 2
    focus_row(browser, 0)
    press(browser, "c")
    first = rows(browser)[0]
    press(browser, "ArrowDown")
    type_time(browser, "onset", "1.125")
    type_time(browser, "offset", "2.5")
    browser.run("media.currentTime = 3")
    click(browser, "add")
    saved(browser, tmp_path / f"{clip_path.name}.strong.tsv")

    capsys.readouterr()
    arguments = ("import", f"{clip_path.name}.strong.tsv", "--as", "strong", "--out", "lists")
    assert run_avsed(monkeypatch, "metadata", *arguments) == 0
    assert capsys.readouterr().err == ""
    header, *lines = Path("lists/strong.tsv").read_text().splitlines()
    assert header == HEADER.strip()
    cells = [line.split("\t") for line in lines]
    assert {name for name, *_ in cells} == {f"{clip_path.stem}.wav"}
    listed = [[f"{float(onset):.2f}", f"{float(offset):.2f}"] for _, onset, offset, _ in cells]
    assert len(listed) == 3
    assert first[:2] in listed
    assert ["1.125", "2.500"] in [times for _, *times, _ in cells]
    assert ["3.00", "4.00"] in listed

    Path("lists/weak.tsv").write_text("filename\tevent_labels\nw.wav\tDog\n")
    Path("lists/unlabeled.tsv").write_text("filename\nu.wav\n")
    for split in ("validation", "test"):
        Path(f"lists/{split}.tsv").write_text(f"{HEADER}{split}.wav\t0.5\t1\tDog\n")
    assert run_avsed(monkeypatch, "metadata", "check", "lists") == 0
    assert "\n0 errors" in capsys.readouterr().out
