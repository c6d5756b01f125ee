"""What is told of a log when a start fails."""

from pathlib import Path

import pytest

from job.cluster.logs import first_error

JAVA_STACK = """\
2026-01-01 00:00:00,000 INFO  o.a.f.Runner [main] - Starting
2026-01-01 00:00:01,000 ERROR o.a.f.Runner [main] - Terminating with exit code 1.
org.apache.flink.util.FlinkException: Failed to start.
\tat org.apache.flink.Runner.run(Runner.java:1)
Caused by: java.io.IOException: outer
\tat org.apache.flink.Runner.run(Runner.java:2)
\t... 5 more
Caused by: java.net.BindException: Address already in use
\t... 7 more
2026-01-01 00:00:02,000 INFO  o.a.f.Runner [main] - Bye
Caused by: java.lang.IllegalStateException: of something later
"""


def test_first_error_comes_with_its_innermost_cause(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(JAVA_STACK)

    found = first_error([log])

    assert found is not None
    assert found.number == 2
    assert found.text.endswith("Terminating with exit code 1.")
    assert found.cause == "java.net.BindException: Address already in use"
    assert str(found).startswith(f"{log}:2: ")


@pytest.mark.parametrize(
    "line",
    [
        "Error occurred during initialization of VM",
        "Error: Could not find or load main class x.Y",
        "java.lang.OutOfMemoryError: Java heap space",
        "Unrecognized VM option 'Wrong'",
        "Traceback (most recent call last):",
    ],
)
def test_what_a_jvm_says_when_it_does_not_start_is_an_error(tmp_path: Path, line: str) -> None:
    out = tmp_path / "a.out"
    out.write_text(f"WARNING: Unknown module\n{line}\n")

    assert str(first_error([tmp_path / "missing.log", out])) == f"{out}:2: {line}"


def test_a_jvm_that_does_not_start_gives_its_reason_on_the_next_line(tmp_path: Path) -> None:
    out = tmp_path / "a.out"
    out.write_text("Error occurred during initialization of VM\nMaxMetaspaceSize is too small.\n")

    found = first_error([out])

    assert found is not None
    assert found.cause == "MaxMetaspaceSize is too small."


def test_a_log_without_errors_tells_nothing(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("INFO ErrorHandler is set\nINFO no exceptions so far\n")

    assert first_error([log]) is None
