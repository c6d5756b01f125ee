"""What of a registry's URL is a secret: kept where only its place is written down, and masked wherever it is shown.

A URL may hold a password (`ftp://me:secret@host/models`), or a token or signature as its query
(`https://host/models?sig=...`). Everything up to the last @ after a colon is taken for the former, since a password may
hold slashes, and any query or fragment for the latter: a name that tells a token from others there is not.
"""

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, unquote_plus

from model.registry.errors import RegistryAccessError

_LOGIN = re.compile(r"(?<=://)[^\s]*:[^\s]*@")
_WEB_LOGIN = re.compile(r"(?<=https://)[^\s/@]+@|(?<=http://)[^\s/@]+@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]*://[^\s'\"<>)]+")
_PLACE = re.compile(r"(?P<kind>env|file):(?!//)(?P<name>.+)", re.DOTALL)
_HIDDEN = "***"
_SHORTEST = 4
"""A shorter secret is masked as part of a URL only: its letters are in many words."""


def is_url(text: str) -> bool:
    """Whether it is a URL, and no folder."""
    return "://" in text


def is_place(text: str) -> bool:
    """Whether it says where the URL is, `env:NAME` or `file:PATH`, and is none itself."""
    return _PLACE.fullmatch(text) is not None


def absolute_place(text: str) -> str:
    """The same place, a file's path absolute."""
    kind, _, name = text.partition(":")
    return f"file:{Path(name).absolute()}" if kind == "file" else text


def url_at(text: str) -> str:
    """The registry's URL or folder: what stands in a place, or the text itself.

    Raises:
        RegistryAccessError: there is nothing in that place.
    """
    if (place := _PLACE.fullmatch(text)) is None:
        return text
    is_variable = place["kind"] == "env"
    try:
        found = os.environ[place["name"]] if is_variable else Path(place["name"]).read_text()
    except (KeyError, OSError, UnicodeDecodeError):
        found = ""
    if not found.strip():
        what = "variable" if is_variable else "file"
        msg = (
            f"the registry's URL should be in the {what} {place['name']}, and there is none to be read here: "
            "it is needed on every TaskManager too"
        )
        raise RegistryAccessError(msg)
    return found.strip()


def without_secrets(url: str) -> str:
    """The URL as it may be shown."""
    if not is_url(url):
        return url
    shown = _WEB_LOGIN.sub(f"{_HIDDEN}@", _LOGIN.sub(f"{_HIDDEN}@", url))
    return _QUERY.sub(lambda query: query[0][0] + _HIDDEN, shown)


def has_plain_slash(url: str) -> bool:
    """Whether a password is written so that no library reads it: up to there it would be a host and a port."""
    return any(set("/?#") & set(login) for login in _LOGIN.findall(url))


def masked(text: str, url: str) -> str:
    """A text about a URL as it may be shown, whatever of the URL's secrets it repeats."""
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return _IN_TEXT.sub(lambda found: without_secrets(found[0]), text)


def _secrets(url: str) -> set[str]:
    """Each as it stands, and as libraries write it."""
    if not is_url(url):
        return set()
    found = [*_LOGIN.findall(url), *_WEB_LOGIN.findall(url)]
    pieces = [url] if without_secrets(url) != url else []
    for login in found:
        pieces += [login.removesuffix("@"), login.removesuffix("@").partition(":")[2]]
    query = _QUERY.search(_WEB_LOGIN.sub("", _LOGIN.sub("", url)))
    if query is not None:
        given = re.split(r"[?#&;]", query[0][1:])
        pieces += [query[0][1:], *given, *(each.partition("=")[2] for each in given)]
    forms = {
        form
        for piece in pieces
        for form in (piece, unquote(piece), unquote_plus(piece), quote(piece), quote(piece, safe=""))
    }
    return {form for form in forms if len(form) >= _SHORTEST}
