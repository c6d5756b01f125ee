"""The image's health check: is the JobManager answering, and does it know this TaskManager?

What to ask stands in the file that entrypoint.py wrote; a container that runs a command has none and is healthy. It
imports the standard library only, since it runs every few seconds.
"""

import json
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

FILE = Path("/var/lib/recloop/health.json")
_TIMEOUT_S = 3


def problem(file: Path) -> str | None:
    """Return what is wrong, or None."""
    try:
        asked = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    try:
        with urlopen(asked["url"], timeout=_TIMEOUT_S) as answer:
            told = answer.read().decode()
    except (URLError, OSError) as error:
        return f"{asked['url']}: {error}"
    return None if asked["expected"] in told else f"{asked['url']} does not name {asked['expected']}"


if __name__ == "__main__":
    sys.exit(problem(FILE))
