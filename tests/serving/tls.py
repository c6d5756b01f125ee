"""A server beyond loopback, with a certificate that is made for it."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.serving.process import served
from tests.unit.serving.lists import list_row
from tests.unit.serving.world import World

KEY = "a-key-of-24-characters-x"
LASTING = ("-days", "2", "-nodes", "-subj", "/CN=recloop", "-addext", "subjectAltName=DNS:localhost")


@dataclass(frozen=True)
class Beyond:
    """A server at every address of this machine.

    Attributes:
        url: of the server, by the name in its certificate.
        port: of the server.
        world: its logs.
        trust: what trusts its certificate.
    """

    url: str
    port: int
    world: World
    trust: ssl.SSLContext


@contextmanager
def beyond_loopback(folder: Path) -> Iterator[Beyond]:
    certificate, key, keys = (folder / name for name in ("chain.pem", "key.pem", "keys"))
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("needs openssl, which makes the certificate")
    made = ("req", "-x509", "-newkey", "rsa:2048", "-keyout", str(key), "-out", str(certificate), *LASTING)
    subprocess.run([openssl, *made], check=True, capture_output=True)
    keys.write_text(KEY)
    world = World(folder)
    world.publish(list_row("u", ("a", "b", "c"), log_offset=-1))
    tls = ("--tls-certificate", str(certificate), "--tls-key", str(key))
    options = ("--host", "0.0.0.0", "--keys-file", str(keys), *tls)
    with served(folder, options=options) as server:
        assert server.url.startswith("https://")
        trust = ssl.create_default_context(cafile=str(certificate))
        yield Beyond(f"https://localhost:{server.port}", server.port, world, trust)
