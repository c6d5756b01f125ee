"""(d) A plain kafka-python loop with RocksDB: one call per event, or the records of a poll in batches.

Two processes of one consumer group use both cores.
"""

import argparse
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaConsumer, KafkaProducer
from rocksdict import Rdict

from job.bench.peers.histories import apply
from job.bench.peers.recommend import Recommend, made_list

_BATCH = 64
_POLL = 512
"""The most records a poll returns, as in the job."""
_WAIT_MS = 100


class Users:
    """The histories and lists, in two local RocksDBs."""

    def __init__(self, folder: Path) -> None:
        self._histories = Rdict(str(folder / "histories"))
        self._lists = Rdict(str(folder / "lists"))

    def history(self, value: dict[str, Any]) -> list[str] | None:
        """Return the history after the behaviour; None for a record that only sets an earlier history."""
        user_id = value["user_id"]
        if "history" in value:
            self._histories[user_id] = value["history"]
            return None
        history: list[str] = self._histories.get(user_id) or []
        apply(history, value["action"], value["item_id"])
        self._histories[user_id] = history
        return history

    def new_list(self, behavior: dict[str, Any], answer: Any) -> dict[str, Any]:
        """Make and keep the user's next list."""
        user_id = behavior["user_id"]
        previous = self._lists.get(user_id)
        made = made_list(behavior, previous["list_version"] + 1 if previous else 1, answer)
        self._lists[user_id] = made
        return made


def documented(consumer: Any, producer: Any, topic: str, users: Users, recommend: Recommend) -> None:
    """Loop as the client's own documentation does, one call per event."""
    for record in consumer:
        behavior = msgspec.json.decode(record.value)
        history = users.history(behavior)
        if history is not None:
            made = users.new_list(behavior, recommend([history])[0])
            producer.send(topic, value=msgspec.json.encode(made), key=record.key)


def batched(consumer: Any, producer: Any, topic: str, users: Users, recommend: Recommend) -> None:
    """Score the records of each poll, in calls of up to 64."""
    while True:
        polled = consumer.poll(timeout_ms=_WAIT_MS, max_records=_POLL)
        behaviors = [msgspec.json.decode(record.value) for records in polled.values() for record in records]
        tracked = [(each, history) for each in behaviors if (history := users.history(each)) is not None]
        for start in range(0, len(tracked), _BATCH):
            batch = tracked[start : start + _BATCH]
            answers = recommend([history for _, history in batch])
            for (behavior, _), answer in zip(batch, answers, strict=True):
                made = users.new_list(behavior, answer)
                producer.send(topic, value=msgspec.json.encode(made), key=made["user_id"].encode())


def main() -> None:
    """Run until the process is ended."""
    parser = argparse.ArgumentParser()
    for name in ("--brokers", "--group", "--input", "--output", "--bundle", "--form", "--state"):
        parser.add_argument(name, required=True)
    asked = parser.parse_args()
    recommend, users = Recommend(Path(asked.bundle)), Users(Path(asked.state))
    consumer = KafkaConsumer(
        asked.input,
        bootstrap_servers=asked.brokers,
        group_id=asked.group,
        auto_offset_reset="earliest",
    )
    producer = KafkaProducer(bootstrap_servers=asked.brokers)
    loop = batched if asked.form == "batched" else documented
    loop(consumer, producer, asked.output, users, recommend)


if __name__ == "__main__":
    main()
