"""Tables: queries that people write, bounded in time, memory and rows."""

from typing import Annotated, Any, Literal

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from job.page.answers import json_answer, page_answer, read_body
from job.page.helper import HelperProcess
from job.tables.schema import VIEWS

SECONDS = 10
ROWS = 1_000
_FILE_ROWS = 100_000
_WORDS = (
    *("SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "HAVING", "DISTINCT", "DESC", "JOIN", "USING"),
    *("BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "END"),
    *("count(*)", "unnest", "quantile_cont", "to_timestamp_ltz", "list_contains"),
)
_EXAMPLES = {
    "behaviours by action": """\
SELECT action, count(*) AS behaviors, count(DISTINCT user_id) AS users
FROM user_behavior WHERE outcome = 'applied'
GROUP BY action ORDER BY behaviors DESC""",
    "freshness by minute": """\
SELECT minute_time, freshness_p50_ms, freshness_p99_ms
FROM feedback_metrics ORDER BY minute""",
    "items in most lists": """\
SELECT item_id, count(*) AS lists
FROM (SELECT unnest(items) AS item_id FROM latest_recommendation_lists)
GROUP BY item_id ORDER BY lists DESC, item_id LIMIT 20""",
    "dead letters": """\
SELECT reason, detail, log_partition, log_offset
FROM dead_letters ORDER BY written_at DESC LIMIT 50""",
    "swaps of models": """\
SELECT swap_time, variant, model_version, outcome, problem
FROM model_swaps ORDER BY swap_time DESC""",
    "tables": "SHOW TABLES",
}
_Statement = Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]


class _Query(msgspec.Struct, forbid_unknown_fields=True):
    statement: _Statement


class _File(msgspec.Struct, forbid_unknown_fields=True):
    statement: _Statement
    form: Literal["csv", "json"]


class SqlRoutes:
    """The page, and the queries it sends."""

    def __init__(self, tables: HelperProcess | None) -> None:
        self._tables = tables

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/tables", self.form),
            Route("/sql", self.query, methods=["POST"]),
            Route("/sql/file", self.file, methods=["POST"]),
        ]

    async def form(self, request: Request) -> Response:
        """Show the page."""
        views = [
            {
                "name": view.name,
                "doc": view.doc,
                "columns": [{"name": each.name, "type": each.type.value, "doc": each.doc} for each in view.columns],
            }
            for view in VIEWS
        ]
        names = dict.fromkeys(name for view in VIEWS for name in (view.name, *(each.name for each in view.columns)))
        data = {
            "words": [*names, *_WORDS],
            "examples": [{"name": name, "sql": statement} for name, statement in _EXAMPLES.items()],
        }
        return page_answer(request, "tables.html", page="/tables", views=views, data=data, seconds=SECONDS, rows=ROWS)

    async def query(self, request: Request) -> Response:
        """Run a query, and return its first rows."""
        given = await read_body(request, _Query)
        return json_answer(await self._ask("sql", statement=given.statement, rows=ROWS))

    async def file(self, request: Request) -> Response:
        """Run a query, and return its rows as the text of a file."""
        given = await read_body(request, _File)
        answer = await self._ask("download", statement=given.statement, form=given.form, rows=_FILE_ROWS)
        if answer["text"] is None:
            raise HTTPException(413, "the file would have more than 32 MiB: recloop sql --out writes one of any size")
        return json_answer(answer)

    async def _ask(self, kind: str, **question: Any) -> Any:
        if self._tables is None:
            raise HTTPException(404, "this machine does not see the job's tables")
        return await self._tables.ask(kind, timeout_s=SECONDS, **question)
