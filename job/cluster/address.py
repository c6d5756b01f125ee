"""The normal form of the address of a JobManager's REST interface, from any form that people write.

Both clients of it, ours and Flink's own, take a URL. It may be https, and has a path where a proxy stands before Flink.
"""

from urllib.parse import urlsplit

import httpx

from job.cluster.errors import SettingRefusedError

_PORTS = {"http": 80, "https": 443}
_LIKE = "write it as http://jobmanager:8081 or https://host/prefix"


def rest_address(text: str) -> str:
    """Return the address as scheme://host:port/prefix, without a slash at its end.

    Without a scheme it is http. The fragment that a browser shows (#/overview) is left out.

    Raises:
        SettingRefusedError: the text is not the address of a web server, or carries a password.
    """
    given = text.strip()
    url = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        msg = f"{given!r} is no address of a JobManager ({error}): {_LIKE}"
        raise SettingRefusedError(msg) from error
    fault = None
    if parts.scheme not in _PORTS:
        fault = f"it begins with {parts.scheme}://"
    elif not parts.hostname:
        fault = "it names no host"
    elif any(each.isspace() for each in parts.geturl()):
        fault = "it has a blank in it"
    elif parts.username is not None:
        fault = "it carries a user's name or password, which Flink's own client does not take from it"
    elif parts.query:
        fault = f"it has ?{parts.query} at its end"
    if fault is not None:
        scheme, separator, rest = given.rpartition("://")
        without_password = f"{scheme}{separator}{'***@' if '@' in rest else ''}{rest.rpartition('@')[2]}"
        msg = f"{without_password!r} is no address of a JobManager: {fault}; {_LIKE}"
        raise SettingRefusedError(msg)
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    address = f"{parts.scheme}://{host}:{port or _PORTS[parts.scheme]}{parts.path.rstrip('/')}"
    try:
        httpx.URL(address)
    except httpx.InvalidURL as error:
        msg = f"{given!r} is no address of a JobManager ({error}): {_LIKE}"
        raise SettingRefusedError(msg) from error
    return address
