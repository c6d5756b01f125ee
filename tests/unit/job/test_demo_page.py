"""The end of `recloop demo`: the page is named with what ends it, and opened where there is a screen."""

import webbrowser

import pytest

from job.commands import demo

ADDRESS = "http://127.0.0.1:8080/page/"


@pytest.mark.parametrize(("screen", "open_it", "opened"), [(":0", True, [ADDRESS]), (":0", False, []), ("", True, [])])
def test_the_page_is_named_and_opened_where_there_is_a_screen(
    screen: str,
    open_it: bool,
    opened: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(webbrowser, "open", asked.append)
    monkeypatch.setenv("DISPLAY", screen)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    demo._show(ADDRESS, "recloop cluster stop ends it.", open_it=open_it)
    assert asked == opened
    said = capsys.readouterr().out
    assert ADDRESS in said
    assert "recloop cluster stop ends it." in said
