"""The cause of a failure, as it is told from what Flink really printed.

`failures/` holds outputs of `flink run` and exceptions of jobs, with the middle of their stack traces cut out.
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.cluster.causes import cause, python_versions
from job.cluster.records import Failure

FAILURES = Path(__file__).parent / "failures"
WITHOUT_FLINK = "the Python that ran it has no apache-flink: that environment's bin has to be first on PATH"
NO_PYTHON = "the program python cannot be run: No such file or directory (it is not on PATH there)"
CAUSES = {
    "flink-run-chained": "RuntimeError: the settings cannot be read: second line of it (chained.py:5)",
    "flink-run-exception-group": "ExceptionGroup: several (2 sub-exceptions) ValueError: a KeyError: 'b' (group.py:1)",
    "flink-run-exception-without-message": "Odd (cls.py:2)",
    "flink-run-killed-by-a-signal": "Python was ended by SIGSEGV",
    "flink-run-missing-client-python": "the program /nowhere/python cannot be run: No such file or directory",
    "flink-run-missing-module": "ModuleNotFoundError: No module named 'polars_missing' (missing.py:1)",
    "flink-run-missing-script": "java.nio.file.NoSuchFileException: /tmp/pyflink/",
    "flink-run-no-python-on-path": NO_PYTHON,
    "flink-run-python-without-flink": f"ModuleNotFoundError: No module named 'pyflink' (javaerr.py:1, {WITHOUT_FLINK})",
    "flink-run-raised": "ValueError: lists.length must be at least 1, not 0 (raise.py:2)",
    "flink-run-refused-connection": "org.apache.flink.shaded.netty4.io.netty.channel.AbstractChannel$AnnotatedConnect"
    "Exception: Connection refused: /127.0.0.1:9",
    "flink-run-syntax-error": "SyntaxError: invalid syntax (syntax.py:1)",
    "flink-run-sys-exit": "usage: give --settings",
    "job-no-python-on-path": NO_PYTHON,
    "job-python-without-flink": f"ModuleNotFoundError: No module named 'find_libpython' (<string>:1, {WITHOUT_FLINK})",
}
WRAPPED = """\
org.apache.flink.client.program.ProgramAbortException: java.lang.RuntimeException: Python process exits with code: 1
\tat org.apache.flink.client.python.PythonDriver.main(PythonDriver.java:140)
Caused by: java.lang.RuntimeException: Python process exits with code: 1
\tat org.apache.flink.client.python.PythonDriver.main(PythonDriver.java:130)
\t... 15 more
"""
WORKER = """\
java.util.concurrent.ExecutionException: java.lang.RuntimeException: Error received from SDK harness: {traceback}

\tat java.base/java.util.concurrent.CompletableFuture.get(Unknown Source)
Caused by: java.lang.RuntimeException: Error received from SDK harness for instruction 1: {traceback}

\tat org.apache.beam.runners.fnexecution.control.FnApiControlClient$ResponseStreamObserver.onNext(FnApiControl.java:1)
\t... 1 more
"""
LOGGED = """\
2026-11-30 07:07:00,893 INFO  org.apache.flink.Runner [] - Starting
2026-11-30 07:07:01,893 ERROR org.apache.flink.Runner [] - {traceback}
2026-11-30 07:07:02,893 WARN  org.apache.flink.Runner [] - java.lang.IllegalStateException: of something later
"""


@pytest.mark.parametrize("name", CAUSES)
def test_real_failures_tell_their_own_cause(name: str) -> None:
    assert cause((FAILURES / f"{name}.txt").read_text()).startswith(CAUSES[name])


def test_every_stored_failure_is_tried() -> None:
    assert {file.stem for file in FAILURES.glob("*.txt")} == set(CAUSES)


NAMES = st.from_regex(r"\A([a-z_]{1,8}\.){0,2}[A-Z][A-Za-z0-9]{0,20}(Error|Exception|Odd|Exit)?\Z")
ONE_LINE = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=80)


@given(name=NAMES, message=ONE_LINE.map(str.strip), around=st.sampled_from(["client", "worker", "log"]))
def test_any_python_error_wins_over_the_java_around_it(name: str, message: str, around: str) -> None:
    last = f"{name}: {message}" if message else name
    traceback = (
        f'Traceback (most recent call last):\n  File "/home/shop/main.py", line 7, in <module>\n    go()\n{last}'
    )
    text = {
        "client": f"{traceback}\n{WRAPPED}",
        "worker": WORKER.format(traceback=traceback),
        "log": LOGGED.format(traceback=traceback),
    }[around]
    if not last.startswith("py4j.protocol.Py4J"):
        assert cause(text) == f"{last} (main.py:7)"
        assert Failure("x", text, 0, None, None).root_cause == cause(text)


@given(st.text(max_size=300))
def test_any_text_has_a_cause_of_one_line(text: str) -> None:
    told = cause(text)

    assert told
    assert "\n" not in told


def test_what_python_cannot_raise_any_more_is_no_cause() -> None:
    text = (
        "Traceback (most recent call last):\n  File \"main.py\", line 1, in <module>\nKeyError: 'why'\n"
        "Exception ignored in: <function Gateway.__del__ at 0x7f>\n"
        'Traceback (most recent call last):\n  File "gateway.py", line 9, in __del__\nOSError: closed\n'
    )

    assert cause(text) == "KeyError: 'why' (main.py:1)"


def test_a_missing_module_tells_the_other_python_version() -> None:
    text = (
        'Traceback (most recent call last):\n  File "/env/lib/python3.12/site-packages/pyflink/x.py", line 3, in y\n'
        "ModuleNotFoundError: No module named 'msgspec'\n"
    )

    assert cause(text.replace("3.12", "3.7")).endswith(f"(x.py:3, {python_versions('/python3.7/')})")
    assert python_versions("/opt/env/lib/python3.12/site-packages/", "3.11") == "Python 3.12 there, 3.11 here"
    assert not python_versions("/opt/env/lib/python3.11/site-packages/", "3.11")


@pytest.mark.parametrize("program", ["python", "python3", "/opt/my env/bin/python", "C:\\python.exe"])
def test_a_program_that_is_not_there_is_named(program: str) -> None:
    text = f'IOException: Cannot run program "{program}" (in directory "/tmp/x"): error=2, No such file or directory'

    assert f"the program {program} cannot be run: No such file or directory" in cause(f"{text}\n\tat x\n{WRAPPED}")


def test_an_error_of_an_embedded_operator_is_told_by_its_name() -> None:
    trace = "java.lang.Error: x\n\tat y\nCaused by: pemja.core.PythonException: <class 'udfs.errors.LogError'>: gone\n"

    assert cause(trace) == "LogError: gone"
