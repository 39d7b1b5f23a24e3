"""A real browser without a screen, for tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

#: Chromium asks Google's hosts at its start without these, and needs no GPU and no user.
_OPTIONS = (
    '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-quic',
)  # fmt: skip


@contextmanager
def browsing() -> Iterator[Any]:
    """Yield Playwright's browser, or skip if there is no Chromium on this machine."""
    playwright = pytest.importorskip('playwright.sync_api', reason='needs playwright')
    names = ('chromium', 'chromium-browser', 'google-chrome')
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip('there is no Chromium here (apt: chromium)')
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=list(_OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """An open page, the hosts that it asked, and what failed.

    :param address: of the page.
    :param more: Playwright's options of a context, such as ``viewport`` and ``color_scheme``.
    """

    def __init__(self, browser: Any, address: str, **more: Any) -> None:
        self.page = browser.new_context(**more).new_page()
        self.failed: list[str] = []
        self.hosts: set[str] = set()
        self.errors: list[str] = []
        #: What the page wrote to its console, such as why it loads itself again.
        self.said: list[str] = []
        self.page.on('requestfailed', lambda request: self.failed.append(request.url))
        self.page.on('request', lambda request: self.hosts.add(request.url.split('/')[2]))
        self.page.on('websocket', lambda socket: self.hosts.add(socket.url.split('/')[2]))
        self.page.on('pageerror', lambda error: self.errors.append(str(error)))
        self.page.on('console', lambda message: self.said.append(message.text))
        self.page.goto(address)

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.context.close()

    def marked(self, name: str) -> Any:
        """Return the element that the page has marked with a name."""
        return self.page.get_by_test_id(name)
