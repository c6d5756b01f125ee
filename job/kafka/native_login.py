"""How Flink's own Kafka connector logs in: one line of JAAS, which has a grammar of its own.

Kafka's Java client reads it with a StreamTokenizer, after it replaced `${provider:...}` by what stands there. What is
ours is written so that it means itself. What the client looks up on a TaskManager it puts in as it is: a secret that
would break out of its quotes is refused beforehand.
"""

from collections.abc import Iterator

from job.kafka.errors import LoginError
from job.settings.groups import KafkaSettings
from udfs.kafka.connection import Secret

_BREAKS = {'"': "a double quote", "\\": "a backslash", "\n": "a newline", "\r": "a carriage return"}
_BREAKS_PLACE = ":}"
_FIRST_PRINTABLE = 32


def jaas_quoted(text: str) -> str:
    """The text as a quoted value; also `$` is written as octal, which is read after providers were looked up."""
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def check_login(kafka: KafkaSettings) -> None:
    """Refuse secrets that the connector could not use.

    Raises:
        LoginError: it has a letter that ends its quotes, or its file's path one that ends the place.
        SecretMissingError: it is not there.
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
