"""The line by which Flink's own Kafka connector logs in says what was meant, as Java's own tokenizer reads it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.kafka.errors import LoginError
from job.kafka.native_login import check_login, jaas_quoted
from job.settings.kafka import KafkaSettings
from udfs.kafka.connection import SecretMissingError

WORD, END = -3, -1
TEXTS = st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF), max_size=12) | st.text(
    '"\\${}\n\r\t01789;= a', max_size=12
)


def tokens(flink: Any, line: str) -> list[str]:
    """As Kafka's JaasConfig sets its tokenizer up."""
    java = flink.jvm.java.io
    reader = java.StreamTokenizer(java.StringReader(line))
    reader.slashSlashComments(True)
    reader.slashStarComments(True)
    for letter in "-_$":
        reader.wordChars(ord(letter), ord(letter))
    found = []
    while (kind := reader.nextToken()) != END:
        found.append(field(flink, reader) if kind in (WORD, ord('"')) else chr(kind))
    return found


def field(flink: Any, reader: Any) -> str:
    return str(flink.jvm.java.util.Objects.toString(reader.getClass().getField("sval").get(reader)))


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_a_username_means_itself_and_never_ends_its_quotes(flink: Any, username: str) -> None:
    line = f'module required username={jaas_quoted(username)} password="p";'
    assert tokens(flink, line) == ["module", "required", "username", "=", username, "password", "=", "p", ";"]


@given(st.text('${}:envdirectoryXP/"\\', max_size=20))
def test_nothing_in_it_is_looked_up(username: str) -> None:
    assert "$" not in jaas_quoted(username)


def native(password: str) -> KafkaSettings:
    return KafkaSettings(
        connector="native", security="SASL_PLAINTEXT", mechanism="PLAIN", username="me", password=password
    )


@pytest.mark.parametrize("secret", ['a"b', "a\\b", "a\nb", "secret\n", "secret\r\n", '" required user="root'])
def test_a_secret_that_ends_its_quotes_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    (tmp_path / "password").write_bytes(secret.encode())
    monkeypatch.setenv("PASSWORD", secret)
    for place in (f"file:{tmp_path / 'password'}", "env:PASSWORD"):
        with pytest.raises(LoginError, match=r"set kafka\.connector=python") as told:
            check_login(native(place))
        assert secret not in str(told.value)
    check_login(native("env:PASSWORD").model_copy(update={"connector": "python"}))


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_characters='"\\\n\r\0', max_codepoint=0xFFFF), min_size=1, max_size=12)
)
def test_any_other_secret_is_taken_and_means_itself(flink: Any, secret: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PASSWORD", secret)
        check_login(native("env:PASSWORD"))
    assert tokens(flink, f'password="{secret}";') == ["password", "=", secret, ";"]


def test_a_path_that_ends_the_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a:b").write_text("secret")
    with pytest.raises(LoginError, match="has a : or a }"):
        check_login(native(f"file:{tmp_path / 'a:b'}"))
    with pytest.raises(SecretMissingError):
        check_login(native(f"file:{tmp_path / 'none'}"))
