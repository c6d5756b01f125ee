"""The login of Flink's own Kafka connector: one line of JAAS, which has a grammar of its own.

Kafka's Java client reads it with a StreamTokenizer, after it has replaced each `${provider:...}` by its value. Our own
values are escaped. A value that the client finds on a TaskManager is inserted as it is, so a secret that would break
out of its quotes is refused beforehand.
"""

from collections.abc import Iterator

from job.kafka.errors import LoginError
from job.settings.kafka import KafkaSettings
from udfs.kafka.connection import Secret

_BREAKS = {'"': "a double quote", "\\": "a backslash", "\n": "a newline", "\r": "a carriage return"}
_BREAKS_PLACE = ":}"
_FIRST_PRINTABLE = 32


def jaas_quoted(text: str) -> str:
    """Return the text as a quoted value; `$` becomes octal too, which is decoded after providers are replaced."""
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def check_login(kafka: KafkaSettings) -> None:
    """Refuse secrets that the connector could not use.

    Raises:
        LoginError: a secret has a character that ends its quotes, or its place one that ends the place.
        SecretMissingError: a secret is not there.
    """
    if kafka.connector == "native" and kafka.security.startswith("SASL"):
        for problem in _problems(str(kafka.password)):
            msg = f"kafka.password with kafka.connector=native: {problem}; or set kafka.connector=python"
            raise LoginError(msg)


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return f"\\{ord(letter):03o}" if letter == "$" or ord(letter) < _FIRST_PRINTABLE else letter


def _problems(place: str) -> Iterator[str]:
    kind, _, name = place.partition(":")
    if any(letter in name for letter in _BREAKS_PLACE):
        yield f"{name!r} has a : or a }}, which Kafka's Java client takes for the end of a place: name it otherwise"
    secret = Secret(place).read_whole()
    if found := [what for letter, what in _BREAKS.items() if letter in secret]:
        where = f"the {'variable' if kind == 'env' else 'file'} {name} holds {' and '.join(found)}"
        yield f"{where}, which Kafka's Java client does not take as part of a password (of a file: also at its end)"
