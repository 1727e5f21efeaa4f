"""The browser that opens the pages of predictions."""

from collections.abc import Iterator

import pytest

from tests.helpers.browser import CHROMIUM, Browser, started_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    with started_browser(tmp_path_factory.mktemp("profile")) as started:
        yield started
