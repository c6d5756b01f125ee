"""Flink's own client reaches what ours does: a path before Flink, and https."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from job.cluster import ClusterSpec
from job.cluster.config import flink_configuration, render
from job.cluster.java import find_java
from job.cluster.jvm import environment
from job.cluster.layout import Layout, flink_home
from job.deployment.submission import DeployError, Target, try_connection
from tests.unit.cluster.web import Page, make_certificate, web

PAGES = {"/flink/prod/v1/jobs/overview": Page(b'{"jobs": []}'), "/flink/prod/jobs/overview": Page(b'{"jobs": []}')}


def test_a_path_before_flink_is_reached(tmp_path: Path) -> None:
    with web(PAGES) as server:
        try_connection(Target.remote(f"{server.url}/flink/prod/", tmp_path))

        assert [path for path in server.asked if path.endswith("/jobs/overview")]


@pytest.mark.parametrize("name", ["a blank", "é", "it's $HOME & (more)"])
def test_flinks_scripts_take_folders_of_any_name(tmp_path: Path, name: str) -> None:
    layout, home = Layout(tmp_path / name), flink_home()
    layout.prepare(home)
    (layout.conf / "config.yaml").write_text(render(flink_configuration(ClusterSpec(layout.root))))
    with web(PAGES) as server:
        variables = environment(find_java(os.environ), layout, home)
        elsewhere = tmp_path / f"{name} home"
        elsewhere.symlink_to(home)
        target = Target(
            f"{server.url}/flink/prod", {**os.environ, **variables, "FLINK_HOME": str(elsewhere)}, layout.root, None
        )
        try_connection(target)


@pytest.mark.slow
def test_https_is_reached_with_the_authority_in_javas_store(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    store = tmp_path / "trusted.p12"
    words = ["-importcert", "-noprompt", "-file", str(tmp_path / "certificate.pem"), "-keystore", str(store)]
    subprocess.run(["keytool", *words, "-storepass", "changeit"], check=True, capture_output=True)
    with web(PAGES, certificate=certificate) as server:
        target = Target.remote(f"{server.url}/flink/prod", tmp_path)
        with pytest.raises(DeployError, match=r"certificat.*JVM_ARGS"):
            try_connection(target)
        options = f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=changeit"
        try_connection(replace(target, environment={**target.environment, "JVM_ARGS": options}))
