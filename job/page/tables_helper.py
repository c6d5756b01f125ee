"""The helper process for the tables: the page's queries, and those that people write."""

import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from job.ab_report import AbReport, AbReportError, Question, read_report
from job.ab_statistics import Estimate
from job.deployment.model_status import read_models
from job.page.helper import Answer, answer_questions
from job.settings.job_settings import JobSettings
from job.tables import duck
from job.tables.formats import Format, Values, chunks
from job.tables.query import QueryStream
from job.topology.rules import action_table
from model.actions import history_actions

MEMORY_MB = 1024
"""The most memory of one query."""
_LONGEST_TEXT = 32 << 20
_DEAD_LETTERS = """
SELECT reason, CAST(count(*) AS BIGINT) AS letters, max(written_at) AS newest, arg_max(detail, written_at) AS detail
FROM dead_letters GROUP BY reason ORDER BY letters DESC, reason LIMIT 5
"""
_SWAPS = """
SELECT variant, model_version, outcome, problem, "timestamp" AS at, scorer
FROM model_swaps WHERE outcome <> 'started' ORDER BY "timestamp" DESC, scorer LIMIT 5
"""


class TablesConfig(msgspec.Struct):
    """The first line of the helper's input.

    Attributes:
        tables: the tables folder.
        settings: the settings that the job was deployed with.
    """

    tables: str
    settings: dict[str, Any]


class TablesAnswers:
    """The answers from one tables folder."""

    def __init__(self, config: TablesConfig) -> None:
        self._tables = Path(config.tables)
        self._settings = JobSettings(**config.settings)

    def by_kind(self) -> Mapping[str, Answer]:
        """Return kind of question -> the method that answers."""
        return {"sql": self.sql, "download": self.download, "facts": self.facts, "ab": self.ab}

    def sql(self, statement: str, rows: int) -> dict[str, object]:
        """Return the first rows of a query, and whether there are more; values are those that JSON has."""
        started = time.perf_counter()
        values = Values()
        with duck.stream(self._tables, statement, memory_mb=MEMORY_MB) as answer:
            found = [[values.plain(value) for value in row] for row in islice(answer.rows, rows)]
            more = next(iter(answer.rows), None) is not None
            warnings = () if more else answer.warnings()
        return {
            "columns": answer.columns,
            "rows": found,
            "more": more,
            "seconds": time.perf_counter() - started,
            "warnings": (*warnings, *values.warnings()),
        }

    def download(self, statement: str, form: str, rows: int) -> dict[str, object]:
        """Return a query's first rows as the text of a file, csv or json; at most 32 MiB."""
        with duck.stream(self._tables, statement, memory_mb=MEMORY_MB) as answer:
            first = QueryStream(answer.columns, islice(answer.rows, rows), answer.warnings)
            text = bytearray()
            for chunk in chunks(first, Format(form), Values()):
                text += chunk
                if len(text) > _LONGEST_TEXT:
                    return {"text": None}
        return {"text": text.decode()}

    def facts(self) -> dict[str, object]:
        """Return the dead letters by reason, the newest swaps, and the models that are served and wanted."""
        with duck.connect(self._tables) as connection:
            letters = duck.run(connection, _DEAD_LETTERS).records()
            swaps = duck.run(connection, _SWAPS).records()
        return {"dead_letters": letters, "swaps": swaps, "models": read_models(self._settings)}

    def ab(self) -> dict[str, object]:
        """Return the variants of the A/B test with their rates and intervals; its test is None where none runs."""
        variants, actions = self._settings.models.variants, action_table(self._settings)
        weights = {name: variant.weight for name, variant in variants.items()} or None
        question = Question(actions=history_actions(actions), weights=weights, known=actions.keys())
        try:
            report = read_report(self._tables, question)
        except AbReportError:
            return {"test": None}
        return {"test": _ab_report(report) if len(report.variants) > 1 else None}


def _ab_report(report: AbReport) -> dict[str, object]:
    variants = [
        {
            "name": each.name,
            "users": each.trials.users,
            "behaviors": each.trials.behaviors,
            "rate": _estimate(each.hit_rate),
            "difference": None if each.difference is None else _estimate(each.difference),
            "verdict": each.verdict,
        }
        for each in report.variants
    ]
    return {"variants": variants, "top": 10, "moved": report.moved}


def _estimate(estimate: Estimate) -> dict[str, object]:
    low, high = estimate.interval or (None, None)
    return {"value": Values().plain(estimate.value), "low": low, "high": high}


if __name__ == "__main__":
    answer_questions(lambda config: TablesAnswers(msgspec.convert(config, TablesConfig)).by_kind())
