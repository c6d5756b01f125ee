"""Answers the questions in some folders, one after the other, and prints the CPU seconds of each."""

import sys
import time
from importlib import import_module
from pathlib import Path

from tests.bench.accuracy.task import answer, read


def main(folders: list[Path]) -> None:
    """Trains what is asked for, and writes its lists."""
    for folder in folders:
        question, rows = read(folder)
        library, _, name = question.model.partition(".")
        model = import_module(f"tests.bench.accuracy.peers.with_{library}").MODELS[name]
        began = time.process_time()
        answer(folder, dict(model(question, rows)))
        print("answered", round(time.process_time() - began, 2), flush=True)


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
