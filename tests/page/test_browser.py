"""The page in a real browser: a click changes the list, in both themes and widths, without a fault of any kind."""

import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import cast

import pytest
from PIL import Image, ImageStat
from playwright.sync_api import Browser, Dialog, expect

from model.bundles.bundle import Bundle
from model.datasets.prepared import Dataset
from tests.page.browser import PHONE, WIDE, Watched, browser_at, watched
from tests.page.conftest import KEY, OwnSite, Site, free_port, recent, site_in
from tests.unit.model.tiny_bundle import write_tiny

pytestmark = pytest.mark.heavy
COUNT_MOVES = """
window.moves = 0;
const animate = Element.prototype.animate;
Element.prototype.animate = function (...given) { window.moves += 1; return animate.apply(this, given); };
"""
NAMES = "(all) => all.map((each) => each.firstChild.textContent)"
PAGES = ("/", "/users", "/what-if", "/tables", "/models", "/nothing-here")


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browser_at(chromium) as running:
        yield running


def user_of(site: Site) -> str:
    return next(site.serving.store.users())


def items(seen: Watched) -> list[str]:
    """The item ids of the list, as the page shows it."""
    rows = seen.page.locator("#list li")
    return [str(each.get_attribute("data-item")) for each in rows.all()]


def theme_of(seen: Watched) -> str:
    """The theme of a screenshot, which must show something: by its brightness."""
    shot = ImageStat.Stat(Image.open(BytesIO(seen.page.screenshot())).convert("L"))
    assert shot.stddev[0] > 3
    return "light" if shot.mean[0] > 127 else "dark"


def test_a_click_on_the_page_changes_the_list(site: Site, browser: Browser) -> None:
    user = user_of(site)
    with watched(browser) as seen:
        seen.page.goto(f"{site.page}/users/{user}")
        before = items(seen)
        clicked = before[1]
        version = site.serving.store.list_of(user)
        seen.page.locator(f'#list button[data-act="buy"][data-item="{clicked}"]').click()

        expect(seen.page.locator("#effect")).to_have_attribute("data-state", "good")
        after, stored = items(seen), site.serving.store.list_of(user)
        assert clicked not in after
        assert stored is not None
        assert version is not None
        assert after == stored.items
        assert (stored.list_version, stored.action, stored.item_id) == (version.list_version + 1, "buy", clicked)
        expect(seen.page.locator("#history li").first).to_contain_text("buy")
        expect(seen.page.locator("#gone")).to_contain_text("Gone")
        assert seen.faults() == []
        assert seen.said == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_no_page_has_a_fault(site: Site, browser: Browser, scheme: str, size: tuple[int, int]) -> None:
    with watched(browser, size=size, color_scheme=scheme, reduced_motion="reduce") as seen:
        for path in (*PAGES, f"/users/{user_of(site)}"):
            seen.page.goto(f"{site.page}{path}")
            seen.page.wait_for_timeout(700)  # what the stream brings first is there
            assert seen.faults() == [], path
            assert seen.overflow() <= 0, path
            assert theme_of(seen) == scheme, path
        seen.page.locator("#theme").click()
        assert seen.faults() == []
        assert theme_of(seen) != scheme
        assert [each for each in seen.said if "404" not in each] == []


@pytest.mark.slow
def test_ids_and_titles_with_markup_stay_text(site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    user = "<img src=x onerror=alert(1)>/../'\""
    item = "<script>alert(2)</script>"
    titles = cast("dict[str, str]", site.serving.catalogue.titles)
    listed = site.serving.store.list_of(user_of(site))
    assert listed is not None
    monkeypatch.setitem(titles, listed.items[0], "<img src=y onerror=alert(3)></script><script>alert(4)</script>")
    with watched(browser) as seen:
        dialogs: list[str] = []

        def dismiss(dialog: Dialog) -> None:
            dialogs.append(dialog.message)
            dialog.dismiss()

        seen.page.on("dialog", dismiss)
        seen.page.goto(f"{site.page}/users/{user_of(site)}")
        expect(seen.page.locator("#list li").first).to_contain_text("<script>alert(4)</script>")
        seen.page.goto(f"{site.page}/users")
        seen.page.fill("#user", user)
        seen.page.locator("form.find button").click()
        expect(seen.page.locator("h1")).to_contain_text(user)
        seen.page.fill("#item", item)
        seen.page.select_option("#action", "click")
        seen.page.locator("#act button").click()
        expect(seen.page.locator("#effect")).to_have_attribute("data-state", "good")
        expect(seen.page.locator("#history li").first).to_contain_text(item)
        seen.page.goto(f"{site.page}/users")
        seen.page.get_by_role("link", name=user).click()
        expect(seen.page.locator("#history li").first).to_contain_text(item)
        assert dialogs == []
        assert seen.page.locator("main img, main script").count() == 0
        assert seen.faults() == []
        assert seen.said == []


@pytest.mark.slow
def test_the_keyboard_is_enough(site: Site, browser: Browser) -> None:
    with watched(browser) as seen:
        seen.page.goto(f"{site.page}/users/{user_of(site)}")
        seen.page.locator("#list li button").first.focus()
        name = seen.page.evaluate("document.activeElement.dataset.act")
        seen.page.keyboard.press("Enter")
        expect(seen.page.locator("#effect")).to_have_attribute("data-state", "good")
        assert name == "click"
        seen.page.goto(f"{site.page}/tables")
        seen.page.locator("#sql").focus()
        seen.page.keyboard.press("Control+A")
        seen.page.keyboard.type("select count(*) from user_beh")
        seen.page.keyboard.press("Tab")
        assert seen.page.input_value("#sql").endswith("user_behavior")
        seen.page.keyboard.press("Control+Enter")
        expect(seen.page.locator("#result tbody td")).to_have_count(1)
        assert int(seen.page.locator("#result tbody td").inner_text()) >= 600


@pytest.mark.slow
@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_rows_move_unless_the_system_asks_for_less_motion(site: Site, browser: Browser, motion: str) -> None:
    with watched(browser, reduced_motion=motion) as seen:
        seen.page.add_init_script(COUNT_MOVES)
        seen.page.goto(f"{site.page}/users/{user_of(site)}")
        seen.page.locator('#list button[data-act="dislike"]').first.click()
        expect(seen.page.locator("#effect")).to_have_attribute("data-state", "good")
        moves = seen.page.evaluate("window.moves")
        assert moves == 0 if motion == "reduce" else moves > 0


@pytest.mark.slow
def test_a_result_has_a_chart_and_files(site: Site, browser: Browser, tmp_path: Path) -> None:
    with watched(browser) as seen:
        seen.page.goto(f"{site.page}/tables")
        seen.page.fill("#sql", "SELECT action, count(*) AS n FROM user_behavior GROUP BY action ORDER BY n DESC")
        seen.page.locator("#query button").click()
        rows = seen.page.locator("#result tbody tr")
        expect(rows.first).to_be_visible()
        expect(seen.page.locator("#chart canvas")).to_be_visible()
        for form in ("csv", "json"):
            with seen.page.expect_download() as downloading:
                seen.page.locator(f"#{form}").click()
            downloading.value.save_as(tmp_path / form)
        assert len((tmp_path / "csv").read_text().splitlines()) == 1 + rows.count()
        assert len(json.loads((tmp_path / "json").read_text())["rows"]) == rows.count()
        assert seen.faults() == []
        seen.page.fill("#sql", "SELECT * FROM '/etc/passwd'")
        seen.page.keyboard.press("Control+Enter")
        expect(seen.page.locator("#facts")).to_have_class(re.compile("bad"))
        assert [each for each in seen.said if "422" not in each] == []


@pytest.mark.slow
def test_the_list_before_says_where_each_item_is_now(site: Site, browser: Browser) -> None:
    with watched(browser) as seen:
        seen.page.goto(f"{site.page}/users/{user_of(site)}")
        before = [str(each) for each in seen.page.locator("#list .name").evaluate_all(NAMES)]
        seen.page.locator('#list button[data-act="dislike"]').nth(2).click()
        expect(seen.page.locator("#effect")).to_have_attribute("data-state", "good")
        seen.page.locator("#before summary").click()
        rows = seen.page.locator("#before-list li")
        expect(rows.nth(2)).to_contain_text(before[2])
        expect(rows.nth(2)).to_contain_text("gone")
        after = [str(each) for each in seen.page.locator("#list .name").evaluate_all(NAMES)]
        for place, name in enumerate(before):
            where = f"now {after.index(name) + 1}" if name in after else "gone"
            expect(rows.nth(place)).to_contain_text(where)
        assert seen.faults() == []


@pytest.mark.slow
def test_while_the_job_is_down_a_click_is_stored_and_its_list_comes_later(site: OwnSite, browser: Browser) -> None:
    with watched(browser) as seen:
        seen.page.goto(f"{site.page}/users/{user_of(site)}")
        site.job.stop()
        try:
            seen.page.locator('#list button[data-act="click"]').nth(2).click()
            expect(seen.page.locator("#effect")).to_contain_text("is stored", timeout=20_000)
            expect(seen.page.locator("#history li").first).to_contain_text("waits for the job")
        finally:
            site.job.start()
        expect(seen.page.locator("#effect")).to_have_attribute("data-state", "good")
        expect(seen.page.locator("#history li").first).not_to_contain_text("waits")


@pytest.mark.slow
def test_what_if_shows_two_lists_side_by_side(site: Site, browser: Browser) -> None:
    with watched(browser) as seen:
        seen.page.goto(f"{site.page}/what-if")
        for text in ("Star Wars", "Toy Story"):
            seen.page.fill("#item", text)
            option = seen.page.locator("#items option").first
            expect(option).to_contain_text(text)
            seen.page.fill("#item", str(option.get_attribute("value")))
            seen.page.locator("#add button").click()
        for side in ("left", "right"):
            expect(seen.page.locator(f"#{side}-list li")).to_have_count(10, timeout=90_000)
        seen.page.wait_for_load_state("networkidle")  # the lists of both items, not of the first alone
        assert seen.faults() == []
        seen.page.locator("#history button").first.click()
        expect(seen.page.locator("#history li")).to_have_count(1)
        assert seen.said == []


@pytest.mark.slow
def test_the_page_says_that_the_server_is_gone_and_comes_back(
    ml_100k: Dataset, bundle: Bundle, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("restarted")
    port = free_port()
    behaviors = recent(ml_100k, 50)
    with watched(browser) as seen:
        with site_in(folder, bundle, behaviors, port=port) as site:
            user = user_of(site)
            seen.page.goto(f"{site.page}/users/{user}")
            expect(seen.page.locator("#list li").first).to_be_visible()
        expect(seen.page.locator("#trouble")).to_contain_text("does not answer")
        with site_in(folder / "again", bundle, behaviors, port=port):
            expect(seen.page.locator("#trouble")).not_to_contain_text("The server does not answer")
            seen.page.locator('#list button[data-act="click"]').first.click()
            expect(seen.page.locator("#effect")).to_have_attribute("data-state", "good")
        assert seen.console_but_connections() == []


@pytest.mark.slow
def test_a_key_signs_in_and_moves_pointers(
    ml_100k: Dataset, bundle: Bundle, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from model.registry.registry import Registry

    folder = tmp_path_factory.mktemp("keyed")
    registry = Registry(str(folder / "registry"))
    version = registry.register(bundle.path, "ml-100k")
    newer = registry.register(write_tiny(folder / "tiny", "newer").path, "ml-100k")
    with site_in(folder, bundle, recent(ml_100k, 50), keys=KEY) as site, watched(browser) as seen:
        seen.page.goto(f"{site.page}/models")
        seen.page.fill("#key", "not the key")
        seen.page.locator("form.find button").click()
        expect(seen.page.locator(".refused")).to_contain_text("does not know")
        seen.page.fill("#key", KEY)
        seen.page.locator("form.find button").click()
        seen.page.goto(f"{site.page}/models")
        seen.page.locator('button[data-move="promote"]').first.click()
        seen.page.fill("#key", "another key altogether")
        seen.page.locator("#go").click()
        expect(seen.page.locator("#refused")).to_contain_text("does not know")
        assert registry.pointers("ml-100k").current is None
        seen.page.locator("#cancel").click()
        current = seen.page.locator("tr", has=seen.page.locator(".tag.current"))
        for each in (version, newer):
            move(seen, f'button[data-move="promote"][data-version="{each.id}"]')
            expect(current).to_contain_text(each.id, timeout=90_000)
            assert registry.pointers("ml-100k").current == each
        move(seen, 'button[data-move="rollback"]')
        expect(current).to_contain_text(version.id, timeout=90_000)
        assert registry.pointers("ml-100k").current == version
        assert seen.faults() == []


def move(seen: Watched, button: str) -> None:
    """Asks for a pointer to be moved, with the key."""
    seen.page.locator(button).click()
    seen.page.fill("#key", KEY)
    seen.page.locator("#go").click()
