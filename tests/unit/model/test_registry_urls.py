"""A registry's URL is never shown, stored or raised with what is secret in it, wherever in the URL that is."""

import http.server
import logging
import pickle
import threading
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
from fsspec.implementations import http_sync
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from job.cli import app
from job.settings.job_settings import SettingsError, load
from job.settings.planned_job import JobPlan, PlannedJob
from model.registry.bundle_source import FromRegistry
from model.registry.errors import RegistryAccessError, RegistryError
from model.registry.registry import Registry
from model.registry.urls import is_place, masked, url_at, without_secrets
from tests.unit.model.tiny_bundle import NAME, write_tiny

SECRET = "hunter2-0123"
LETTERS = st.text("abcXYZ019/?#@:%&=+-._~", max_size=12)
SHAPES = (
    "ftp://me:{}@host/models",
    "sftp://:{}@host:22/models",
    "https://{}@host/models",
    "https://host/models?sig={}",
    "https://host/models?version=3&X-Amz-Signature={}&x=1",
    "https://host/models?%73ig={}#top",
    "https://host/models#access_token={}",
    "filecache::ftp://me:{}@host/models",
)
SETTINGS = ("models.name=m", "lists.policy=history")


@pytest.mark.parametrize("shape", SHAPES[:3])
@given(before=LETTERS, after=LETTERS)
def test_no_letter_of_a_password_is_shown(shape: str, before: str, after: str) -> None:
    secret = f"{before}{SECRET}{after}"
    if shape == SHAPES[2]:
        secret = quote(secret, safe="")
    url = shape.format(secret)
    shown = without_secrets(url)
    assert SECRET not in shown
    assert "host" in shown
    assert without_secrets(shown) == shown


@pytest.mark.parametrize("shape", SHAPES)
@given(secret=st.text("ab/%+= &", min_size=4, max_size=10).map(lambda text: quote(SECRET + text, safe="")))
def test_texts_of_libraries_lose_it_in_every_form(shape: str, secret: str) -> None:
    url = shape.format(secret)
    texts = [f"GET {url} failed", f"login with '{secret}' refused", f"<{url}/m/pointers.json>: 403", repr({"url": url})]
    for text in texts:
        assert SECRET not in masked(text, url)
    assert masked("nothing of it", url) == "nothing of it"


@pytest.mark.parametrize(
    "url",
    ["s3://bucket/models", "memory://x", "abfs://container@account/models", "https://host:8443/models", "dir/models"],
)
def test_what_holds_no_secret_is_shown_as_it_is(url: str) -> None:
    assert without_secrets(url) == masked(url, url) == url


@pytest.mark.parametrize("shape", [*SHAPES, "ftp://me:pa/{}@host/models"])
def test_settings_refuse_it_with_what_to_do_and_do_not_repeat_it(shape: str) -> None:
    with pytest.raises(SettingsError, match=r"models\.url=env:NAME or models\.url=file:PATH") as told:
        load(overrides=[*SETTINGS, f"models.url={shape.format(SECRET)}"])
    assert SECRET not in "".join(traceback.format_exception(told.value))


@pytest.mark.parametrize("kind", ["env", "file"])
def test_a_place_is_what_settings_and_job_hold(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"ftp://me:{SECRET}@127.0.0.1:1/models"
    monkeypatch.setenv("REGISTRY", url)
    (tmp_path / "url").write_text(url + "\n")
    place = {"env": "env:REGISTRY", "file": "file:url"}[kind]
    settings = load(overrides=[*SETTINGS, f"models.url={place}"]).resolved()
    PlannedJob(settings, JobPlan()).to_file(tmp_path / "settings.json")
    assert SECRET not in (tmp_path / "settings.json").read_text()
    assert settings.models.url == {"env": place, "file": f"file:{tmp_path / 'url'}"}[kind]
    source = FromRegistry(str(settings.models.url), "m", "current", tmp_path)
    assert SECRET.encode() not in pickle.dumps(source)
    with pytest.raises(RegistryAccessError, match=r"ftp://\*\*\*@127\.0\.0\.1:1/models cannot be opened"):
        source.wanted()


@pytest.mark.parametrize("place", ["env:NOT_SET_ANYWHERE", "file:/nowhere/url"])
def test_a_place_with_nothing_in_it_is_told(place: str) -> None:
    assert is_place(place)
    with pytest.raises(RegistryAccessError, match="needed on every TaskManager too"):
        Registry(place)


def test_a_file_url_is_no_place() -> None:
    assert not is_place("file:///models")
    assert url_at("file:///models") == "file:///models"


class WithToken(http.server.SimpleHTTPRequestHandler):
    """Files, for whoever shows the token; others get an error that repeats what they showed."""

    def do_GET(self) -> None:
        if f"sig={SECRET}" in self.path:
            super().do_GET()
        else:
            self.send_error(500, f"not {self.path}")

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing to the tests' output."""


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """A registry behind a signature, and where it is without that."""
    http_sync.register()
    registry = Registry(tmp_path / "registry")
    registry.offer(write_tiny(tmp_path / "v1", "v1", b"v1").path)
    handler = partial(WithToken, directory=str(tmp_path / "registry"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"sync-http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.heavy
def test_a_registry_behind_a_signature_is_served_from(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY", f"{guarded}?sig={SECRET}")
    source = FromRegistry("env:REGISTRY", NAME, "current", tmp_path / "cache")
    assert source.fetch(source.wanted()).manifest.version == "v1"
    assert Registry("env:REGISTRY").place == f"{guarded}?***"


@pytest.mark.heavy
def test_neither_errors_nor_logs_nor_commands_show_a_wrong_signature(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "wrong-signature-77"
    monkeypatch.setenv("REGISTRY", f"{guarded}?sig={wrong}")
    source = FromRegistry("env:REGISTRY", NAME, "current", tmp_path / "cache")
    with caplog.at_level(logging.WARNING), pytest.raises(RegistryError) as told:
        source.load_first(lambda bundle: bundle)
    assert wrong not in "".join(traceback.format_exception(told.value))
    assert wrong not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("udfs"))
    shown = CliRunner().invoke(app, ["models", "list", "--registry", f"{guarded}?sig={wrong}"])
    assert shown.exit_code == 1
    assert wrong not in shown.output
    assert wrong not in repr(source)


def test_a_slash_in_a_password_is_told_how_to_write() -> None:
    with pytest.raises(RegistryAccessError, match=r"ftp://\*\*\*@host/x cannot be opened: .* written %2F") as told:
        Registry(f"ftp://me:{SECRET}/more@host/x")
    assert SECRET not in "".join(traceback.format_exception(told.value))
