"""The package `apache_beam` as it travels with the job's code: none in thread mode, elsewhere the installed one.

PyFlink imports Apache Beam wherever an operator runs, which costs a core three seconds. In thread mode it then uses
nothing of it, and goes on without where the import fails; process mode needs it. Flink puts the job's code before the
installed packages, so that this file, as `apache_beam/__init__.py`, is found first.
"""

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path


def _become_installed(name: str) -> None:
    """Put the installed package in the place of this one.

    Raises:
        ImportError: this is the interpreter of a TaskManager's JVM, or no Beam is installed.
    """
    if _is_in_task_manager():
        msg = "operators in thread mode run without Apache Beam"
        raise ImportError(msg)
    # The code of other deployments may be on the path too.
    paths = [path for path in sys.path if not Path(path).name.startswith("recloop_")]
    found = PathFinder.find_spec(name, paths)
    if found is None or found.loader is None:
        msg = "Apache Beam is not installed here: install apache-flink again"
        raise ImportError(msg)
    sys.modules[name] = module_from_spec(found)
    found.loader.exec_module(sys.modules[name])


def _is_in_task_manager() -> bool:
    """Return whether this interpreter is inside a JVM: only there is PEMJA's own module."""
    try:
        import_module("_pemja")
    except ImportError:
        return False
    return True


if __name__ == "apache_beam":
    _become_installed(__name__)
