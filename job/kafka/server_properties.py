"""A development broker's server.properties, on loopback: a node that is broker and controller, or joins one."""

from collections.abc import Mapping
from pathlib import Path

LOOPBACK = "127.0.0.1"

_ALONE = {
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
}
_FAST_RESTART = {
    # After a kill -9 a broker is fenced until its old session has ended: 5.8 s to reopen instead of 16.8 s.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "4",
}


def server_properties(data: Path, port: int, controller_port: int, more: Mapping[str, str]) -> dict[str, str]:
    """Return all properties of the broker; `more` replaces some and adds others."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
        **_ALONE,
        **_FAST_RESTART,
        **more,
    }


def joining_properties(data: Path, port: int, controller_port: int, more: Mapping[str, str]) -> dict[str, str]:
    """Return all properties of a second broker, which joins the cluster of the controller at a port."""
    alone = server_properties(data, port, controller_port, {})
    address = f"PLAINTEXT://{LOOPBACK}:{port}"
    return {**alone, "process.roles": "broker", "node.id": "2", "listeners": address, **more}


def as_text(properties: Mapping[str, str]) -> str:
    """Return properties as the text of a properties file."""
    return "".join(f"{name}={value}\n" for name, value in properties.items())
