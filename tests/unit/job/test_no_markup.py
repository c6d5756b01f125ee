"""Text of users is shown as it is by all that a command prints with: no markup, no emoji, no control characters."""

import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.table import Column, Table

from job.commands.output import Screen, shown

LINES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20).map(
    lambda text: f"[red]x[/red] [/] :smile: {text}".rstrip()
)


def printed(show: Any, **options: Any) -> str:
    out = io.StringIO()
    show(Screen(file=out, width=10_000, **options))
    return out.getvalue()


@given(LINES)
def test_a_text_is_shown_whole_wherever_it_stands(text: str) -> None:
    def print_all(screen: Screen) -> None:
        screen.print(text)
        table = Table(text, Column(text), title=text, caption=text)
        table.add_row(text, text)
        screen.print(table)

    assert printed(print_all).count(shown(text)) == 7


@given(LINES, LINES)
def test_spinners_and_progress_bars_show_a_text_whole(first: str, then: str) -> None:
    def spin(screen: Screen) -> None:
        with screen.status(first) as spinner:
            screen.print(spinner.renderable)
            spinner.update(then)
            screen.print(spinner.renderable)
        with screen.bar() as bar:
            bar.add_task(first)

    found = printed(spin)
    assert first in found
    assert then in found


def test_control_characters_are_spelled() -> None:
    assert printed(lambda screen: screen.print("a\x1b[2Jb")) == "a\\u001b[2Jb\n"
