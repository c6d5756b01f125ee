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

try:
    import_module("_pemja")  # only the interpreter inside a TaskManager's JVM has it
except ImportError:
    pass
else:
    msg = "operators in thread mode run without Apache Beam"
    raise ImportError(msg)

_installed = PathFinder.find_spec(__name__, [path for path in sys.path if not Path(path).name.startswith("recloop_")])
if _installed is None or _installed.loader is None:
    msg = "Apache Beam is not installed here: install apache-flink again"
    raise ImportError(msg)
sys.modules[__name__] = module_from_spec(_installed)
_installed.loader.exec_module(sys.modules[__name__])
