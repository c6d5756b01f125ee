"""One JVM with Flink's classes for the contract tests that ask Flink itself, as PyFlink starts it."""

import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyflink import java_gateway
from pyflink.pyflink_gateway_server import launch_gateway_server_process

from job.cluster.java import find_java
from job.cluster.layout import flink_home
from tests.job.waiting import wait_until


@pytest.fixture(scope="package")  # others find their own Java: Maven's trusts the certificates of this machine
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """PyFlink's gateway; `flink.jvm` reaches every class, and PyFlink's own functions use it too."""
    folder = tmp_path_factory.mktemp("gateway")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _variables(folder).items():
            patch.setenv(name, value)
        patch.setattr(java_gateway, "_gateway", None)
        with _server(folder / "port") as port:
            patch.setenv("PYFLINK_GATEWAY_PORT", str(port))
            gateway = java_gateway.get_gateway()
            yield gateway
            gateway.shutdown()


@contextmanager
def _server(told: Path) -> Iterator[int]:
    """The JVM, which tells its port in a file. PyFlink's own way of starting it leaves pipes open."""
    variables = {**os.environ, "_PYFLINK_CONN_INFO_PATH": str(told)}
    arguments = ["-c", "org.apache.flink.client.python.PythonGatewayServer", "local"]
    process = launch_gateway_server_process(variables, arguments)
    try:
        wait_until(told.exists, timeout_s=60, what="PyFlink's gateway")
        yield struct.unpack_from("!I", told.read_bytes())[0]
    finally:
        process.stdin.close()
        process.terminate()
        process.wait(10)
        process.stderr.close()


def _variables(folder: Path) -> dict[str, str]:
    """Python and Java as the cluster finds them; configuration and logs away from the installed package."""
    java = find_java(os.environ)
    folders = (Path(sys.executable).parent, java.home / "bin", os.environ.get("PATH", os.defpath))
    path = os.pathsep.join(map(str, folders))
    (folder / "config.yaml").write_text("parallelism.default: 1\n")
    paths = {"FLINK_HOME": flink_home(), "JAVA_HOME": java.home, "FLINK_CONF_DIR": folder, "FLINK_LOG_DIR": folder}
    opened = {"JVM_ARGS": "--add-opens=java.base/java.util=ALL-UNNAMED"}  # as Flink's own configuration has it
    return {"PATH": path} | opened | {name: str(value) for name, value in paths.items()}
