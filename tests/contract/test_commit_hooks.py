"""What is checked on a commit is what `make lint` checks."""

import re

import yaml

from job.deployment.shipping import PROJECT


def test_commit_hooks_run_every_tool_of_make_lint() -> None:
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert lint is not None
    linted = {tuple(line.split()[:2])[: 2 if "ruff" in line else 1] for line in lint[1].splitlines()}
    config = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())
    entries = [hook["entry"].replace(".venv/bin", "$(BIN)").split() for hook in config["repos"][0]["hooks"]]
    assert {tuple(entry[: 2 if "ruff" in entry[0] else 1]) for entry in entries} == linted
