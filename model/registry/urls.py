"""The secrets in a registry's URL: they can be kept in a variable or file, and are masked wherever the URL is shown.

A URL may hold a password (`ftp://me:secret@host/models`), or a token or signature as its query
(`https://host/models?sig=...`). Everything up to the last @ after a colon is taken as the password, since a password
may hold slashes. Any query or fragment is taken as a token, since no name marks the parameters that are one.
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
"""The shortest secret to mask outside a URL: the letters of a shorter one occur in many words."""


def is_url(text: str) -> bool:
    """Return true if the text is a URL and no folder."""
    return "://" in text


def is_place(text: str) -> bool:
    """Return true if the text is the place of a URL, `env:NAME` or `file:PATH`, and no URL itself."""
    return _PLACE.fullmatch(text) is not None


def absolute_place(text: str) -> str:
    """Return the same place, with a file's path made absolute."""
    kind, _, name = text.partition(":")
    return f"file:{Path(name).absolute()}" if kind == "file" else text


def url_at(text: str) -> str:
    """Return the registry's URL or folder: the content of a place, or the text itself if it is none.

    Raises:
        RegistryAccessError: the variable or file is missing or empty.
    """
    if (place := _PLACE.fullmatch(text)) is None:
        return text
    is_variable = place["kind"] == "env"
    try:
        found = os.environ[place["name"]] if is_variable else Path(place["name"]).read_text()
    except (KeyError, OSError, UnicodeDecodeError):
        found = ""
    if not found.strip():
        source = "variable" if is_variable else "file"
        msg = (
            f"the registry's URL should be in the {source} {place['name']}, and there is none to be read here: "
            "it is needed on every TaskManager too"
        )
        raise RegistryAccessError(msg)
    return found.strip()


def without_secrets(url: str) -> str:
    """Return the URL with its secrets masked."""
    if not is_url(url):
        return url
    shown = _WEB_LOGIN.sub(f"{_HIDDEN}@", _LOGIN.sub(f"{_HIDDEN}@", url))
    return _QUERY.sub(lambda query: query[0][0] + _HIDDEN, shown)


def has_plain_slash(url: str) -> bool:
    """Return true if a login holds a plain / ? or #, where libraries would end it and read a host and a port."""
    return any(set("/?#") & set(login) for login in _LOGIN.findall(url))


def masked(text: str, url: str) -> str:
    """Return a text about a URL with all of the URL's secrets masked."""
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return _IN_TEXT.sub(lambda found: without_secrets(found[0]), text)


def _secrets(url: str) -> set[str]:
    """Return the URL's secrets, each as written, decoded and quoted, as libraries write them."""
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
