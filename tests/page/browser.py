"""A real browser on the page, which fails a test for any message in its console."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

PHONE, WIDE = (390, 844), (1280, 900)
SECONDS = 30_000
"""The longest wait for anything, ms: a busy machine takes its time."""
_GONE = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE")


@dataclass(slots=True)
class Watched:
    """A page, and what its console said."""

    page: Page
    said: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """What axe-core finds, of any impact."""
        # Half faded in, a text has no contrast.
        still = "Promise.allSettled(document.getAnimations().map((each) => each.finished)).then(() => null)"
        self.page.evaluate(still)
        found = Axe().run(self.page).response["violations"]
        return [f"{each['id']} ({each['impact']}): {each['nodes'][0]['html']}" for each in found]

    def overflow(self) -> int:
        """Pixels that the page is wider than its window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        width: int = self.page.evaluate(script)
        return width

    def console_but_connections(self) -> list[str]:
        """What the console said, but that the server did not answer: browsers say so whatever a page does."""
        return [each for each in self.said if not any(word in each for word in _GONE)]


@contextmanager
def browser_at(path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's own sandbox needs rights that a container may not have; it loads nothing but this server.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def watched(browser: Browser, *, size: tuple[int, int] = WIDE, **options: Any) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    context.set_default_timeout(SECONDS)
    page = context.new_page()
    seen = Watched(page)
    page.on("console", lambda message: seen.said.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: seen.said.append(str(error)))
    try:
        yield seen
    finally:
        context.close()
