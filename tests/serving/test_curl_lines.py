"""The curl lines of docs/serving.md, as they are, against a server."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from job.deployment.shipping import PROJECT
from tests.serving.process import served
from tests.unit.serving.lists import list_row
from tests.unit.serving.world import World

pytestmark = pytest.mark.heavy
BLOCK = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^curl .*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
NEEDS_A_BUNDLE = "/similar"
STREAM = " -N "


def test_every_line_is_answered(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    blocks = BLOCK.findall((PROJECT / "docs/serving.md").read_text())
    lines = [line for block in blocks for line in COMMAND.findall(block) if "https://" not in line]
    assert len(lines) >= 9
    World(tmp_path).publish(list_row("7"))
    with served(tmp_path) as server:
        for line in lines:
            asked = line.replace("localhost:8080", server.url)
            asked = asked.replace("curl ", "curl -sS --max-time 3 -w '\\n%{http_code}' ", 1)
            done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, timeout=60, check=False)
            body, _, status = done.stdout.rpartition("\n")
            if STREAM in line:
                assert body.startswith(": following"), line
            else:
                wanted = "404" if NEEDS_A_BUNDLE in line else "202" if " -d " in line else "200"
                assert status == wanted, (line, done)
