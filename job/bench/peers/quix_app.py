"""(d) Quix Streams: a stateful application as in its documentation, and one that scores histories in batches.

It runs in its own environment; two processes of one consumer group use both cores.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quixstreams import Application, State
from quixstreams.sinks import BatchingSink, SinkBatch
from rocksdict import Rdict

from job.bench.peers.histories import apply
from job.bench.peers.recommend import Recommend, made_list

_BATCH = 64
_COMMIT_EVERY = 512
"""The messages that a batching sink gets at once, as many as a poll of the job reads."""


def track(value: dict[str, Any], state: State) -> list[str] | None:
    """Add the behaviour to the user's history and return that; None for a record that only sets an earlier history."""
    if "history" in value:
        state.set("history", value["history"])
        return None
    history: list[str] = state.get("history") or []
    apply(history, value["action"], value["item_id"])
    state.set("history", history)
    return history


def documented(app: Application, topics: tuple[Any, Any], recommend: Recommend) -> None:
    """Make each event's list with one call of the model, all in one stateful function."""
    behaviors, lists = topics

    def make_list(value: dict[str, Any], state: State) -> dict[str, Any] | None:
        history = track(value, state)
        if history is None:
            return None
        previous = state.get("list")
        made = made_list(value, previous["list_version"] + 1 if previous else 1, recommend([history])[0])
        state.set("list", made)
        return made

    sdf = app.dataframe(behaviors)
    sdf = sdf.apply(make_list, stateful=True)
    sdf = sdf.filter(lambda made: made is not None)
    sdf.to_topic(lists)


class MakeLists(BatchingSink):  # type: ignore[misc]  # where Quix is not installed it has no types
    """A sink that scores the histories between two commits in calls of up to 64; it keeps lists in its own RocksDB."""

    def __init__(self, app: Application, topic: Any, recommend: Recommend, folder: Path) -> None:
        super().__init__()
        self._producer = app.get_producer()
        self._topic = topic
        self._recommend = recommend
        self._lists = Rdict(str(folder))

    def write(self, batch: SinkBatch) -> None:
        """Make the lists for all messages of one partition since the last commit."""
        items = [item.value for item in batch]
        for start in range(0, len(items), _BATCH):
            self._make(items[start : start + _BATCH])

    def _make(self, items: Sequence[tuple[dict[str, Any], list[str]]]) -> None:
        answers = self._recommend([history for _, history in items])
        for (behavior, _), answer in zip(items, answers, strict=True):
            user_id = behavior["user_id"]
            previous = self._lists.get(user_id)
            made = made_list(behavior, previous["list_version"] + 1 if previous else 1, answer)
            self._lists[user_id] = made
            message = self._topic.serialize(key=user_id, value=made)
            self._producer.produce(self._topic.name, value=message.value, key=message.key, headers=message.headers)


def batched(app: Application, topics: tuple[Any, Any], recommend: Recommend, folder: Path) -> None:
    """Keep histories in Quix's state, and score and make lists in a batching sink."""
    behaviors, lists = topics

    def with_history(value: dict[str, Any], state: State) -> tuple[dict[str, Any], list[str]] | None:
        history = track(value, state)
        return None if history is None else (value, history)

    sdf = app.dataframe(behaviors)
    sdf = sdf.apply(with_history, stateful=True)
    sdf = sdf.filter(lambda pair: pair is not None)
    sdf.sink(MakeLists(app, lists, recommend, folder))


def main() -> None:
    """Run until the process is ended."""
    parser = argparse.ArgumentParser()
    for name in ("--brokers", "--group", "--input", "--output", "--bundle", "--form", "--state"):
        parser.add_argument(name, required=True)
    asked = parser.parse_args()
    is_batched = asked.form == "batched"
    app = Application(
        broker_address=asked.brokers,
        consumer_group=asked.group,
        auto_offset_reset="earliest",
        state_dir=asked.state,
        **({"commit_every": _COMMIT_EVERY} if is_batched else {}),
    )
    topics = app.topic(asked.input, value_deserializer="json"), app.topic(asked.output, value_serializer="json")
    recommend = Recommend(Path(asked.bundle))
    if is_batched:
        batched(app, topics, recommend, Path(asked.state) / "lists")
    else:
        documented(app, topics, recommend)
    app.run()


if __name__ == "__main__":
    main()
