"""Problems of requests as answers: application/problem+json, RFC 9457."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from job.serving.answers import ProblemDetails
from model.errors import RecloopError

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A request that is answered with a problem."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str | None = None,
        errors: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title or HTTPStatus(status).phrase
        self.errors = list(errors)
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return the answer."""
        details = ProblemDetails(title=self.title, status=self.status, detail=self.detail, errors=self.errors)
        return Response(msgspec.json.encode(details), self.status, self.headers, MEDIA_TYPE)


async def answer_problem(_request: Request, error: Exception) -> Response:
    """Answer a `Problem`."""
    assert isinstance(error, Problem)
    return error.response()


async def answer_invalid(_request: Request, error: Exception) -> Response:
    """Answer parameters that are none."""
    assert isinstance(error, RequestValidationError)
    faults = [f"{'.'.join(str(part) for part in each['loc'][1:])}: {each['msg']}" for each in error.errors()]
    return Problem(
        422, faults[0] if len(faults) == 1 else f"{len(faults)} parameters are wrong", errors=faults
    ).response()


async def answer_http(_request: Request, error: Exception) -> Response:
    """Answer what routing refuses: an unknown path, another method."""
    assert isinstance(error, HTTPException)
    return Problem(error.status_code, str(error.detail), headers=error.headers).response()


async def answer_unavailable(_request: Request, error: Exception) -> Response:
    """Answer where a log, a broker or a file could not be used: an error of ours, which the operator can mend."""
    assert isinstance(error, RecloopError)
    return Problem(503, str(error), headers={"retry-after": "1"}).response()


async def answer_fault(_request: Request, _error: Exception) -> Response:
    """Answer where the server has a fault: its log has the trace, and the client a sentence."""
    return Problem(500, "the server has a fault: its log says more").response()
