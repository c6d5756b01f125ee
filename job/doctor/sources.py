"""Checks of what the job reads: its log, its bundle and its registry."""

import time
from collections.abc import Iterator

from job.doctor.finding import Finding, Setup, advice, fault, ok
from job.kafka.behaviors_topic import topic_advice
from job.kafka.topics import end_offsets, topic_configs
from job.settings.job_settings import JobSettings
from model.bundles.bundle import Bundle
from model.registry.pointers import CURRENT
from model.registry.registry import Registry
from model.registry.urls import url_at
from udfs.log.file_log import MANIFEST, partitions_of

_COMPACTION = "set cleanup.policy=delete, or name another topic in log.topic"


def check_log(setup: Setup) -> Iterator[Finding]:
    """Read the log's partitions, and what a topic does with old records."""
    settings = setup.settings
    if settings.log.kind == "kafka":
        yield from _check_topic(settings)
    elif not (settings.log.folder / MANIFEST).exists():
        yield ok(f"no log in {settings.log.folder} yet: recloop deploy makes it")
    else:
        yield partitions_finding(partitions_of(settings.log.folder), settings.flink.parallelism)


def partitions_finding(partitions: int, parallelism: int) -> Finding:
    """Return the finding about the number of a log's partitions."""
    text = f"the log has {partitions} partition(s), read by {parallelism} subtask(s)"
    if partitions >= parallelism:
        return ok(text)
    idle = parallelism - partitions
    return advice(f"{text}: {idle} of them read nothing", "more partitions, or a smaller flink.parallelism")


def _check_topic(settings: JobSettings) -> Iterator[Finding]:
    connection, topic = settings.kafka.connection(), settings.log.topic
    yield partitions_finding(len(end_offsets(connection, topic)), settings.flink.parallelism)
    configs = topic_configs(connection, topic)
    policy = configs.get("cleanup.policy") or ""
    if not configs:
        yield advice(f"the brokers do not let us see the settings of topic {topic}", "grant the ACL DescribeConfigs")
    elif "compact" in policy.split(","):
        yield fault(f"topic {topic} has cleanup.policy={policy}: behaviours that were not read are lost", _COMPACTION)
    else:
        yield from map(advice, topic_advice(topic, configs, replayable=settings.preset == "replayable"))


def check_models(setup: Setup) -> Iterator[Finding]:
    """Open the bundle, or the registry and the version that it names."""
    settings = setup.settings
    if settings.scoring.bundle is not None:
        began = time.monotonic()
        bundle = Bundle.load(settings.scoring.bundle)
        seconds = time.monotonic() - began
        yield ok(f"the bundle {bundle.manifest.name} {bundle.manifest.version} loads in {seconds:.1f} s")
    elif settings.models.url is not None and settings.models.name is not None:
        registry = Registry(url_at(settings.models.url))
        version = registry.find(settings.models.name, CURRENT)
        yield ok(f"the registry {registry.place} serves {settings.models.name} {version.id}")
    else:
        yield ok("the settings name no model")
