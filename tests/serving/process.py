"""`recloop serve` as a process, at a free port or at a given one."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from job.deployment.shipping import PROJECT


@dataclass(frozen=True)
class Served:
    """A running server."""

    url: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def served(
    folder: Path, settings: Sequence[str] = (), *, port: int = 0, options: Sequence[str] = ()
) -> Iterator[Served]:
    """A server over the log and the lists of a folder; `options` are further words of the command."""
    given = (f"log.folder={folder}/log", f"publish.lists_folder={folder}/lists", f"tables.folder={folder}/tables")
    sets = [word for each in (*given, *settings) for word in ("--set", each)]
    command = [sys.executable, "-m", "job.cli", "serve", "--port", str(port), "--store", str(folder / "store")]
    with subprocess.Popen([*command, *options, *sets], stdout=subprocess.PIPE, text=True, cwd=PROJECT) as process:
        assert process.stdout is not None
        try:
            words = process.stdout.readline().split()
            assert words[:2] == ["Serving", "at"], words
            yield Served(words[2].rstrip(";"), process)
        finally:
            process.terminate()
