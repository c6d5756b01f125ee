"""The login of Flink's own Kafka connector: one line of JAAS, which has a grammar of its own.

Kafka's Java client reads it with a StreamTokenizer, after it has replaced each `${provider:...}` by its value. Our own
values are escaped. A value that the client finds on a TaskManager is inserted as it is, so a secret that would break
out of its quotes is refused beforehand.
"""

from job.kafka.errors import LoginError
from job.settings.kafka import KafkaSettings
from udfs.kafka.connection import Secret

_BREAKS = {'"': "a double quote", "\\": "a backslash", "\n": "a newline", "\r": "a carriage return"}
_BREAKS_PLACE = ":}"
_OCTAL = {letter: f"\\{ord(letter):03o}" for letter in ("$", *map(chr, range(32)))}
_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", **_OCTAL})


def jaas_quoted(text: str) -> str:
    """Return the text as a quoted value; `$` becomes octal too, which is decoded after providers are replaced."""
    return f'"{text.translate(_ESCAPES)}"'


def check_login(kafka: KafkaSettings) -> None:
    """Refuse secrets that the connector could not use.

    Raises:
        LoginError: a secret has a character that ends its quotes, or its place one that ends the place.
        SecretMissingError: a secret is not there.
    """
    if kafka.connector != "native" or not kafka.security.startswith("SASL"):
        return
    place = str(kafka.password)
    kind, _, name = place.partition(":")
    if any(letter in name for letter in _BREAKS_PLACE):
        fault = f"{name!r} has a : or a }}, which Kafka's Java client takes for the end of a place: name it otherwise"
        raise _refused(fault)
    secret = Secret(place).read_whole()
    if found := [character for letter, character in _BREAKS.items() if letter in secret]:
        where = f"the {'variable' if kind == 'env' else 'file'} {name} holds {' and '.join(found)}"
        fault = f"{where}, which Kafka's Java client does not take as part of a password (of a file: also at its end)"
        raise _refused(fault)


def _refused(fault: str) -> LoginError:
    return LoginError(f"kafka.password with kafka.connector=native: {fault}; or set kafka.connector=python")
