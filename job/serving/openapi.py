"""OpenAPI's document: schemas from the structs of `job.serving.answers`, the keys that operations need, and links."""

from collections.abc import Collection
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from job.serving.answers import ANSWERS, ProblemDetails
from job.serving.problems import MEDIA_TYPE

_REFUSED = {
    400: "the request cannot be read",
    401: "an API key is needed",
    404: "it is not there",
    413: "the body or the batch is too long",
    415: "the body has another type than application/json",
    421: "the server is not called by that name",
    422: "a value is impossible",
    429: "too many requests",
    500: "the server has a fault, which is in its log",
    503: "the log or the brokers cannot be used now",
}
_KEY = "key"


def answered_with(
    answer: type[msgspec.Struct], status: int = 200, *, links: dict[str, Any] | None = None
) -> dict[int | str, dict[str, Any]]:
    """Return the responses of a route for OpenAPI: the answer, with the links that go on from it, and the problems."""
    problem = {"content": {MEDIA_TYPE: {"schema": _ref(ProblemDetails)}}}
    answers: dict[int | str, dict[str, Any]] = {
        code: {"description": text, **problem} for code, text in _REFUSED.items()
    }
    given = {"links": links} if links else {}
    return answers | {status: {"description": _first_line(answer), "content": _content(answer), **given}}


def request_of(*bodies: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the request body of a route for OpenAPI: one of the structs."""
    schema = {"anyOf": [_ref(each) for each in bodies]}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def read_back(operation: str) -> dict[str, Any]:
    """Return the link from an appended behaviour to the list that has seen it, for OpenAPI.

    Args:
        operation: the id of the operation that reads a list.
    """
    parameters = {"user_id": "$request.body#/user_id", "after": "$response.body#/after"}
    return {"read-your-write": {"operationId": operation, "parameters": parameters}}


def describe(app: FastAPI, *, keyed: bool, open_paths: Collection[str], actions: Collection[str]) -> dict[str, Any]:
    """Return the application's OpenAPI document.

    Args:
        app: the application.
        keyed: whether the server has keys, so that one is needed.
        open_paths: the paths that need none in any case.
        actions: the names in the job's action table.
    """
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _, schemas = msgspec.json.schema_components(ANSWERS, ref_template="#/components/schemas/{name}")
        document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
        schemas["BehaviorIn"]["properties"]["action"]["enum"] = sorted(actions)
        document["components"]["securitySchemes"] = {_KEY: {"type": "http", "scheme": "bearer"}}
        needed: list[dict[str, list[str]]] = [{_KEY: []}] if keyed else [{}, {_KEY: []}]
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["security"] = [] if path in open_paths else needed
                # FastAPI adds its own answer to wrong parameters, which ours replaces.
                operation["responses"].get("422", {}).get("content", {}).pop("application/json", None)
        document["components"]["schemas"].pop("HTTPValidationError", None)
        document["components"]["schemas"].pop("ValidationError", None)
        app.openapi_schema = document
    return app.openapi_schema


def _content(answer: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": _ref(answer)}}


def _ref(struct: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}


def _first_line(struct: type[msgspec.Struct]) -> str:
    return (struct.__doc__ or "").strip().splitlines()[0]
