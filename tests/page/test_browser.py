"""The page in a real browser: a click changes the list, in both themes and widths, without a fault of any kind."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Dialog, expect

from model.bundles.bundle import Bundle
from model.datasets.prepared import Dataset
from tests.page.browser import PHONE, WIDE, Watched, browser_at, watched
from tests.page.conftest import KEY, OwnSite, Site, free_port, recent, site_in

pytestmark = pytest.mark.heavy
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
        seen.page.locator("#theme").click()
        assert seen.faults() == []
        assert [each for each in seen.said if "404" not in each] == []


@pytest.mark.slow
def test_ids_with_markup_stay_text(site: Site, browser: Browser) -> None:
    user = "<img src=x onerror=alert(1)>/../'\""
    item = "<script>alert(2)</script>"
    with watched(browser) as seen:
        dialogs: list[str] = []

        def dismiss(dialog: Dialog) -> None:
            dialogs.append(dialog.message)
            dialog.dismiss()

        seen.page.on("dialog", dismiss)
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
    with site_in(folder, bundle, recent(ml_100k, 50), keys=KEY) as site, watched(browser) as seen:
        seen.page.goto(f"{site.page}/models")
        seen.page.fill("#key", "not the key")
        seen.page.locator("form.find button").click()
        expect(seen.page.locator(".refused")).to_contain_text("does not know")
        seen.page.fill("#key", KEY)
        seen.page.locator("form.find button").click()
        seen.page.goto(f"{site.page}/models")
        seen.page.locator('button[data-move="promote"]').click()
        seen.page.fill("#key", "another key altogether")
        seen.page.locator("#go").click()
        expect(seen.page.locator("#refused")).to_contain_text("does not know")
        assert registry.pointers("ml-100k").current is None
        seen.page.fill("#key", KEY)
        seen.page.locator("#go").click()
        expect(seen.page.locator(".tag.current")).to_be_visible(timeout=90_000)
        assert registry.pointers("ml-100k").current == version
        assert seen.faults() == []
