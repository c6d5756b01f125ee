"""`recloop explain` and `recloop lists --at` of a job whose log is a real broker's topic, with gaps in its offsets."""

import json
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import islice

import pytest
from typer.testing import CliRunner

from job.cli import app
from job.cluster import FlinkRest
from job.kafka.broker import BrokerSpec, find, start
from job.kafka.topics import create_topic, end_offsets, remove_records
from model.datasets.json_lines import encode_behavior
from model.datasets.prepared import Dataset
from model.records import UserBehavior
from tests.job.fixtures import Deploy, Run
from tests.kafka.fixtures import produce
from tests.kafka.test_kafka_job import kafka
from udfs.hashing import stable_hash
from udfs.kafka.connection import KafkaConnection

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
PARTITIONS = 2
TOPIC = "inspected"
HALF = 400


def partition_of(behavior: UserBehavior) -> int:
    return stable_hash(behavior.user_id) % PARTITIONS


def in_transactions(bootstrap: str, behaviors: Sequence[UserBehavior]) -> None:
    """Appends the behaviours, ten by ten; before each ten that are committed, they are written once and aborted."""
    from kafka import KafkaProducer

    with closing(KafkaProducer(bootstrap_servers=bootstrap, transactional_id=TOPIC)) as producer:
        producer.init_transactions()
        for begin in range(0, len(behaviors), 10):
            for end in (producer.abort_transaction, producer.commit_transaction):
                producer.begin_transaction()
                for behavior in behaviors[begin : begin + 10]:
                    producer.send(TOPIC, encode_behavior(behavior), partition=partition_of(behavior))
                producer.flush()
                end()


def answered(*words: str, code: int = 0) -> dict[str, object]:
    result = CliRunner().invoke(app, [*words, "--json"], env={"COLUMNS": "300"}, catch_exceptions=False)
    assert result.exit_code == code, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_lists_are_made_again_from_a_topic_and_shown_as_they_were(
    run_job: Deploy, own_broker: BrokerSpec, ml_100k: Dataset
) -> None:
    broker = start(own_broker)
    connection = KafkaConnection(brokers=broker.bootstrap)
    create_topic(connection, TOPIC, PARTITIONS)
    behaviors = list(islice(ml_100k.behaviors(), 2 * HALF))
    in_transactions(broker.bootstrap, behaviors[:HALF])
    run = run_job(None, *kafka(broker, TOPIC), "lists.max_new_items=4")
    run.wait_for_lists(HALF)
    with FlinkRest(run.cluster.rest_url) as rest:
        between_ms = saved_ms(rest, run)
        for partition in range(PARTITIONS):
            mine = [encode_behavior(each) for each in behaviors[HALF:] if partition_of(each) == partition]
            produce(broker, TOPIC, partition, mine)
        run.wait_for_lists(2 * HALF)
    directory = str(run.cluster.directory)
    user = most_active(run)

    places = run.rows(f"SELECT log_partition, log_offset FROM recommendation_lists WHERE user_id = '{user}'")
    for its_partition, offset in places[:: max(1, len(places) // 10)]:
        made = answered("explain", user, "--at", f"{its_partition}:{offset}", "--dir", directory)
        assert (made["equal"], made["not_in_log"]) == (True, [])

    then = answered("lists", user, "--at", str(between_ms), "--checkpoints", run.deployment.job_id, "--dir", directory)
    before = f"user_id = '{user}' AND written_at <= {between_ms}"
    ((items,),) = run.rows(f"SELECT items FROM recommendation_lists WHERE {before} ORDER BY list_version DESC LIMIT 1")
    assert then["list"]["items"] == items  # type: ignore[index]
    assert 0 < run.count("recommendation_lists", before) < len(places)

    # What retention removed since is taken from the tables, and named.
    first = min(int(str(offset)) for _, offset in places)
    emptied = int(str(places[0][0]))
    remove_records(connection, TOPIC, {emptied: first + 1})
    made = answered("explain", user, "--dir", directory)
    assert (made["equal"], made["not_in_log"]) == (True, [[emptied, first]])
    remove_records(connection, TOPIC, end_offsets(connection, TOPIC))
    made = answered("explain", user, "--dir", directory)
    assert made["equal"] is True
    assert len(made["not_in_log"]) == len(places)  # type: ignore[arg-type]

    running = find(own_broker.directory)
    assert running is not None
    running.kill()
    refused = CliRunner().invoke(app, ["explain", user, "--dir", directory])
    assert refused.exit_code == 1
    assert "is it reachable?" in refused.output
    start(own_broker, timeout_s=60)


def saved_ms(rest: FlinkRest, run: Run) -> int:
    """Takes a savepoint, as checkpoints are retained for seconds only, and gives a moment when it was complete."""
    body = {"cancel-job": False, "formatType": "CANONICAL"}
    begun = rest.call("POST", f"/jobs/{run.deployment.job_id}/savepoints", json=body)
    rest.savepoint_of(run.deployment.job_id, begun["request-id"])
    return int(time.time() * 1000)


def most_active(run: Run) -> str:
    """The user with the most behaviours that acted before the pause and after it."""
    ((user,),) = run.rows(
        "SELECT user_id FROM user_behavior WHERE outcome = 'applied' GROUP BY 1 "
        "HAVING max(written_at) - min(written_at) > 1000 ORDER BY count(*) DESC, 1 LIMIT 1"
    )
    return str(user)
