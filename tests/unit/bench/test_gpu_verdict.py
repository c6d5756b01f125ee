"""When CUDA is said to hold."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.gpu.verdict import Outcomes, judge, read_figures, read_tests

FIGURES: dict[str, Any] = {"void": [], "job_events_per_s": 4_000.0, "model_users_per_s": 8_000.0, "job_over_model": 0.5}


def test_it_holds_if_all_tests_passed_and_the_bench_counts() -> None:
    verdict = judge(Outcomes(8, 0, 1), FIGURES)
    assert verdict.holds
    assert verdict.seen == ("8 tests passed, 1 skipped", "the job makes 4,000 lists a second, 0.50 of the model alone")


@pytest.mark.parametrize(
    ("tests", "figures", "problem"),
    [
        (None, FIGURES, "the tests did not finish"),
        (Outcomes(0, 0, 0), FIGURES, "no test ran"),
        (Outcomes(7, 1, 0), FIGURES, "1 tests failed"),
        (Outcomes(0, 0, 8), FIGURES, "no test ran"),
        (Outcomes(8, 0, 0), None, "the bench did not finish"),
        (Outcomes(8, 0, 0), FIGURES | {"void": ["job: fallback lists"]}, "void: job: fallback lists"),
        (Outcomes(8, 0, 0), FIGURES | {"job_events_per_s": None}, "no job_events_per_s"),
    ],
)
def test_it_does_not_hold_where_anything_is_missing(
    tests: Outcomes | None, figures: dict[str, Any] | None, problem: str
) -> None:
    verdict = judge(tests, figures)
    assert not verdict.holds
    assert any(problem in each for each in verdict.problems)


def test_reports_are_read_as_pytest_writes_them(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\ndef test_a(): pass\ndef test_b(): assert 0\ndef test_c(): pytest.skip('x')\n"
    )
    report = tmp_path / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junit-xml", str(report), "test_it.py"]
    subprocess.run(command, cwd=tmp_path, capture_output=True)
    assert read_tests(report) == Outcomes(1, 1, 1)
    assert read_tests(tmp_path / "none.xml") is None
    assert read_figures(tmp_path / "none.json") is None


@pytest.mark.heavy
def test_without_the_device_nothing_is_tried(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.gpu", "--device", "cuda:99", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout.startswith("NOT TRIED: scoring.device=cuda:99: ")
    assert not (tmp_path / "out").exists()
