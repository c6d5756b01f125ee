"""How ports are chosen."""

import socket
from pathlib import Path

import pytest

from job.cluster import ClusterSpec, StartFailedError
from job.cluster.ports import port_is_free, with_ports


def test_a_port_that_was_asked_for_is_taken(tmp_path: Path) -> None:
    spec = with_ports(ClusterSpec(tmp_path, rest_port=8081), {"rest_port": 20001}, lambda _: True)

    assert spec.rest_port == 8081


def test_a_port_that_was_asked_for_but_is_taken_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StartFailedError, match=r"port 8081 is taken.*rest_port"):
        with_ports(ClusterSpec(tmp_path, rest_port=8081), {}, lambda _: False)


def test_remembered_ports_are_used_again(tmp_path: Path) -> None:
    remembered = {"rest_port": 20001, "rpc_port": 20002, "blob_port": 20003}

    spec = with_ports(ClusterSpec(tmp_path), remembered, lambda _: True)

    assert (spec.rest_port, spec.rpc_port, spec.blob_port) == (20001, 20002, 20003)


def test_a_remembered_port_that_is_taken_gives_way_to_a_free_one(tmp_path: Path) -> None:
    spec = with_ports(ClusterSpec(tmp_path), {"rest_port": 20001}, lambda port: port != 20001)

    assert spec.rest_port not in (None, 20001)


def test_ports_differ(tmp_path: Path) -> None:
    spec = with_ports(ClusterSpec(tmp_path), {}, lambda _: True)

    assert len({spec.rest_port, spec.rpc_port, spec.blob_port}) == 3


def test_no_free_port_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartFailedError, match="no free port"):
        with_ports(ClusterSpec(tmp_path), {}, lambda _: False)


def test_a_listening_port_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not port_is_free(server.getsockname()[1])


def test_no_port_for_metrics_stays_none_and_is_not_remembered_as_one(tmp_path: Path) -> None:
    assert with_ports(ClusterSpec(tmp_path, metrics_port=0), {}, lambda _: True).metrics_port == 0
    assert with_ports(ClusterSpec(tmp_path), {"metrics_port": 0}, lambda _: True).metrics_port not in (None, 0)
