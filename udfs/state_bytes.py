"""The version byte, the first of everything in managed keyed state, which names the layout that follows."""

from typing import Any

import msgspec

from model.errors import RecloopError

VERSION_1 = b"\x01"
VERSION_2 = b"\x02"


class StateVersionError(RecloopError):
    """State written by a release that this one does not know; deploy that release or a newer one."""


def version_1(state: bytes) -> memoryview:
    """Return the bytes that follow the version byte of state that has had one version only.

    Raises:
        StateVersionError: the version byte is another.
    """
    return of_versions(state, VERSION_1)[1]


def of_versions(state: bytes, *known: bytes) -> tuple[bytes, memoryview]:
    """Return the version byte, and the bytes that follow it.

    Raises:
        StateVersionError: it is none of the known.
    """
    if (version := state[:1]) not in known:
        msg = (
            f"state has version {version.hex() or 'nothing'}; this release reads {', '.join(v.hex() for v in known)}: "
            "deploy the release that wrote it or a newer one, or go on from a state of this one, by deploy --from"
        )
        raise StateVersionError(msg)
    return version, memoryview(state)[1:]


pack_fields = msgspec.msgpack.Encoder().encode
"""Fields of a state as a MessagePack array, to stand behind its version byte."""
unpack_fields = msgspec.msgpack.Decoder().decode


def fields_1(state: bytes) -> Any:
    """Return the fields behind version 1.

    Raises:
        StateVersionError: the version byte is unknown.
    """
    return unpack_fields(version_1(state))
