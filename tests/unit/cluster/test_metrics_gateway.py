"""The gateway that Flink's processes push metrics to: a real server on loopback, over HTTP."""

import socket
from collections.abc import Iterator
from threading import Thread

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.cluster.config import LOOPBACK
from job.cluster.metrics_gateway import KEPT_S, Pushed, merged, server

FIRST = '# HELP a what\n# TYPE a gauge\na{x="1",} 1.0\na{x="2",} 2.0\n# HELP b what\n# TYPE b gauge\nb 3.0\n'
SECOND = '# HELP a what\n# TYPE a gauge\na{x="2",} 9.0\na{x="3",} 4.0\n'


@pytest.fixture
def gateway() -> Iterator[httpx.Client]:
    with server(LOOPBACK, 0) as serving:
        thread = Thread(target=serving.serve_forever)
        thread.start()
        with httpx.Client(base_url=f"http://{LOOPBACK}:{serving.server_port}") as client:
            yield client
        serving.shutdown()
        thread.join()


def test_all_processes_metrics_are_read_at_one_address_each_metric_once(gateway: httpx.Client) -> None:
    assert gateway.put("/metrics/job/one", content=FIRST).status_code == 202
    assert gateway.post("/metrics/job/two", content=SECOND).status_code == 202
    answer = gateway.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert sorted(line for line in lines if not line.startswith("#")) == [
        'a{x="1",} 1.0',
        'a{x="2",} 9.0',
        'a{x="3",} 4.0',
        "b 3.0",
    ]
    assert [line for line in lines if line.startswith("# HELP")] == ["# HELP a what", "# HELP b what"]


def test_a_push_takes_the_place_of_the_one_before_and_goes_when_the_process_says_so(gateway: httpx.Client) -> None:
    gateway.put("/metrics/job/one", content=FIRST)
    gateway.put("/metrics/job/one", content=SECOND)
    assert "b 3.0" not in gateway.get("/metrics").text
    assert gateway.delete("/metrics/job/one").status_code == 202
    assert gateway.get("/metrics").text == ""


def test_other_requests_are_refused(gateway: httpx.Client) -> None:
    assert gateway.get("/").status_code == 404
    assert gateway.put("/elsewhere", content=FIRST).status_code == 400
    assert gateway.put("/metrics/job/one", content=(part for part in [b"x"])).status_code == 411
    assert gateway.get("/metrics").text == ""


def test_a_push_that_is_too_large_is_refused_before_it_is_read(gateway: httpx.Client) -> None:
    with socket.create_connection((LOOPBACK, gateway.base_url.port or 0)) as raw:
        raw.sendall(b"PUT /metrics/job/one HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n")
        raw.settimeout(10)
        assert b" 400 " in raw.recv(1_000)


def test_it_listens_on_loopback_alone(gateway: httpx.Client) -> None:
    own = next((each for each in _own_addresses() if not each.startswith("127.")), None)
    if own is None:
        pytest.skip("this machine has no other address")
    with pytest.raises(OSError), socket.create_connection((own, gateway.base_url.port or 0), timeout=5):
        pass


def _own_addresses() -> Iterator[str]:
    for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET):
        yield str(found[4][0])


def test_a_process_that_pushes_no_more_is_forgotten() -> None:
    now = [0.0]
    pushed = Pushed(lambda: now[0])
    pushed.put("one", FIRST)
    now[0] = KEPT_S - 1
    pushed.put("two", SECOND)
    assert "b 3.0" in pushed.text()
    now[0] = KEPT_S + 1
    assert pushed.text() == merged([SECOND])


def test_there_is_a_bound_on_processes_and_those_that_are_known_may_go_on() -> None:
    pushed = Pushed(lambda: 0.0)
    assert all(pushed.put(str(number), "") for number in range(1_000))
    assert not pushed.put("one more", "")
    assert pushed.put("7", FIRST)


names = st.sampled_from(["a", "b", "c_d"])
series = st.dictionaries(st.tuples(names, st.integers(0, 5)), st.integers(0, 9))


@given(st.lists(series, max_size=4))
def test_merging_keeps_every_series_once_with_the_first_value(processes: list[dict[tuple[str, int], int]]) -> None:
    texts = []
    for process in processes:
        families = {name: [(x, value) for (n, x), value in process.items() if n == name] for name, _ in process}
        texts.append(
            "".join(
                f"# HELP {name} h\n# TYPE {name} gauge\n"
                + "".join(f'{name}{{x="{x}",}} {value}\n' for x, value in rows)
                for name, rows in families.items()
            )
        )
    wanted: dict[tuple[str, int], int] = {}
    for process in processes:
        wanted = {**process, **wanted}
    lines = merged(texts).splitlines()
    assert sorted(line for line in lines if line[0] != "#") == sorted(
        f'{name}{{x="{x}",}} {value}' for (name, x), value in wanted.items()
    )
    assert lines.count("# TYPE a gauge") == any(name == "a" for name, _ in wanted)
