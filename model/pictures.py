"""Optional pictures: matplotlib, which draws them, is an extra, and tables have all that they show."""

from importlib.util import find_spec

NO_PICTURES = "No picture was drawn, as matplotlib is not installed: pip install 'recloop[pictures]'"


def can_draw() -> bool:
    """Return True if matplotlib is installed."""
    return find_spec("matplotlib") is not None
