"""The first byte of everything in managed keyed state says which version of its layout follows."""

VERSION_1 = b"\x01"


class StateVersionError(Exception):
    """State was written by a release this one does not know; deploy that release or a newer one."""


def version_1(state: bytes) -> memoryview:
    """What follows the version byte.

    Raises:
        StateVersionError: it is another version's.
    """
    if state[:1] != VERSION_1:
        msg = f"state has version {state[:1].hex() or 'nothing'}; this release reads 01"
        raise StateVersionError(msg)
    return memoryview(state)[1:]
