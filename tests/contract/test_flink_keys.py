"""Every Flink setting that a cluster starts with exists in Flink, is not a deprecated name, and has a fit value.

Flink ignores a key it does not know. So a JVM with Flink's jars is asked for all its options.
"""

import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

from job.cluster import ClusterSpec
from job.cluster.config import flink_configuration, reporter_configuration
from job.cluster.gpus import gpu_configuration, state_configuration
from job.cluster.java import find_java
from job.cluster.layout import flink_home
from job.deployment.launch import JOB_ID_KEY
from job.settings.job_settings import load

OPTION_CLASS = re.compile(r"org/apache/flink/[\w/]*(Options|OptionsInternal|PythonConfig)\.class")
READ_BY_SCRIPTS = {"env.java.opts.all"}
REPORTER = "metrics.reporter.prometheus."


@pytest.fixture(scope="module")
def jvm() -> Iterator[Any]:
    jars = os.pathsep.join(map(str, option_jars()))
    java = str(find_java(os.environ).executable)
    port, process = launch_gateway(classpath=jars, java_path=java, die_on_exit=True, return_proc=True)
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port))
    yield gateway.jvm
    gateway.shutdown()
    process.stdin.close()
    process.wait(10)


@pytest.fixture(scope="module")
def options(jvm: Any) -> dict[str, Any]:
    """Flink's options by their present names."""
    return {option.key(): option for name in option_classes() for option in static_options(jvm, name)}


def option_jars() -> list[Path]:
    home = flink_home()
    return [*(home / "lib").glob("*.jar"), *(home / "opt").glob("flink-python-*.jar")]


def option_classes() -> Iterator[str]:
    for jar in option_jars():
        if "planner-loader" in jar.name:
            continue
        with zipfile.ZipFile(jar) as entries:
            for entry in entries.namelist():
                if OPTION_CLASS.fullmatch(entry):
                    yield entry.removesuffix(".class").replace("/", ".")


def static_options(jvm: Any, class_name: str) -> Iterator[Any]:
    """The options that a class declares; a class that lacks what it extends has none for us."""
    try:
        fields = jvm.java.lang.Class.forName(class_name).getFields()
    except Exception as error:
        if "NoClassDefFoundError" in str(error):
            return
        raise
    for field in fields:
        if field.getType().getName() == "org.apache.flink.configuration.ConfigOption":
            yield field.get(None)


def test_every_key_that_is_set_is_one_of_flinks(tmp_path: Path, options: dict[str, Any]) -> None:
    assert len(options) > 500
    settings = set(flink_configuration(ClusterSpec(tmp_path)))
    reporter = {key for key in settings if key.startswith(REPORTER)}
    of_plugin = {key.removeprefix(REPORTER) for key in reporter} - set(options)
    assert settings - reporter - set(options) - READ_BY_SCRIPTS == set()
    assert f"{REPORTER}factory.class" in reporter
    assert of_plugin == {"hostUrl", "jobName", "filterLabelValueCharacters"} <= reporter_parameters()


def reporter_parameters() -> set[str]:
    """The names in the options of Flink's Prometheus plugin, whose factory is the one that is set."""
    (jar,) = (flink_home() / "plugins" / "metrics-prometheus").glob("*.jar")
    factory = reporter_configuration("http://x")[f"{REPORTER}factory.class"].replace(".", "/")
    with zipfile.ZipFile(jar) as entries:
        assert f"{factory}.class" in entries.namelist()
        options = entries.read(factory.replace("Factory", "Options") + ".class")
    return {found.decode() for found in re.findall(rb"\x01\x00.([A-Za-z]{4,})", options, re.DOTALL)}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what PyFlink imports warns of itself
def test_every_key_that_the_job_sets_is_one_of_flinks(options: dict[str, Any]) -> None:
    from job.main import flink_settings

    told = flink_settings(load(overrides=["lists.policy=history"])) | {JOB_ID_KEY: "0" * 32}
    assert set(told) - set(options) == set()
    assert told["execution.checkpointing.externalized-checkpoint-retention"] == "RETAIN_ON_CANCELLATION"


def test_every_value_that_is_set_is_read_by_flink(tmp_path: Path, jvm: Any, options: dict[str, Any]) -> None:
    settings = flink_configuration(ClusterSpec(tmp_path))
    configuration = jvm.org.apache.flink.configuration.Configuration()
    for key, value in settings.items():
        configuration.setString(key, value)

    unread = [key for key in settings if key in options and configuration.get(options[key]) is None]

    assert unread == []


def test_what_task_managers_with_and_without_a_gpu_are_told_is_known_to_flink(options: dict[str, Any]) -> None:
    told = gpu_configuration(Path("/script"), stand_in=True) | state_configuration()
    generic = {re.sub(r"^external-resource\.\w+\.", "external-resource.<resource_name>.", key) for key in told}
    parameters = {key for key in generic if ".param." in key}
    assert generic - parameters <= set(options)
    assert plugins_parameters() == {key.partition(".param.")[2] for key in parameters}


def plugins_parameters() -> set[str]:
    """The options of Flink's GPU plugin, whose driver is the one that is told."""
    (jar,) = (flink_home() / "plugins" / "external-resource-gpu").glob("*.jar")
    driver = gpu_configuration(Path("/script"))["external-resource.gpu.driver-factory.class"]
    with zipfile.ZipFile(jar) as entries:
        assert f"{driver.replace('.', '/')}.class" in entries.namelist()
        options = entries.read("org/apache/flink/externalresource/gpu/GPUDriverOptions.class")
    return {found.decode() for found in re.findall(rb"\x01\x00.(discovery-script\.\w+)(?=[\x00-\x14])", options)}
