"""The requests of a client of Flink's REST interface, and the check that the answers are Flink's.

The server may be no Flink at all, but a proxy before it or another service. Calls end within a timeout.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

import httpx
import msgspec

from job.cluster.address import rest_address
from job.cluster.answers import certificates, hint, not_flink, payload_of
from job.cluster.errors import FaultError, NotFoundError, RefusedError, RestError, UnreachableError
from job.cluster.records import first_line
from model.closing import Closing
from model.waiting import retry

_POLL_S = 0.1
_Record = TypeVar("_Record")
_KINDS: Mapping[int, type[RestError]] = {httpx.codes.NOT_FOUND: NotFoundError}


class FlinkHttp(Closing):
    """The connection to one cluster's REST interface.

    Attributes:
        url: the address, such as http://127.0.0.1:8081 or https://host:443/prefix.

    Raises:
        SettingRefusedError: the text is not an address.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0, patience_s: float = 10.0) -> None:
        self.url = rest_address(url)
        self._patience_s = patience_s
        verify = certificates() if self.url.startswith("https:") else False  # http needs none, and loading them is slow
        self._http = httpx.Client(base_url=self.url, timeout=timeout_s, trust_env=False, verify=verify)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **params: str) -> Any:
        """Return the JSON that a path answers with.

        At the moment when tasks are cancelled Flink answers with an error of its own; the request is then repeated.
        """
        ask = partial(self.call, "GET", path, params=params or None)
        return retry(ask, FaultError, timeout_s=self._patience_s, poll_s=_POLL_S)

    def call(self, method: str, path: str, **request: Any) -> Any:
        """Send one request and return the JSON of its answer.

        Raises:
            UnreachableError: if nobody answers in time.
            NotFlinkError: if something else than Flink answers.
            NotFoundError: if Flink does not know what the path names.
            RefusedError: if Flink refuses; FaultError if Flink itself is at fault.
        """
        try:
            answer = self._http.request(method, path, **request)
        except httpx.DecodingError as error:
            raise not_flink(self.url, path, f"an answer that cannot be read ({error})") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            msg = f"no answer from {self.url}{path} ({error or type(error).__name__}): {hint(self.url, str(error))}"
            raise UnreachableError(msg) from error
        payload = payload_of(self.url, path, answer)
        if answer.is_error:
            kind = _KINDS.get(answer.status_code, FaultError if answer.is_server_error else RefusedError)
            reasons = (text for text in map(str, reversed(payload["errors"])) if text.strip())
            reason = first_line(next(reasons, "no reason given"))
            msg = f"Flink refused {method} {path} ({answer.status_code}): {reason}"
            raise kind(msg)
        return payload

    def _read(self, path: str, kind: type[_Record]) -> _Record:
        return self._as_flinks(path, self.get(path), kind)

    def _as_flinks(self, path: str, answer: Any, kind: type[_Record], *, strict: bool = True) -> _Record:
        """Return an answer as a record, or raise if it lacks a field or has one of another type.

        Another service's JSON does. Unless strict, digits in a string are taken for a number.
        """
        try:
            return msgspec.convert(answer, kind, strict=strict)
        except msgspec.ValidationError as error:
            raise not_flink(self.url, path, f"JSON without what Flink says there ({error})") from error
