"""(c) The job's work in the style of PyFlink's own examples: process mode, one event per element, one call per event.

It follows `word_count.py` (files in and out), `process_json_data.py` (map), `state_access.py` (a keyed process function
with a value state) and `asyncio/remote_model_inference.py` (an async function) of pyflink/examples/datastream.
"""

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pyflink.common import Encoder, Time, Types, WatermarkStrategy
from pyflink.datastream import (
    AsyncDataStream,
    AsyncFunction,
    KeyedProcessFunction,
    MapFunction,
    RuntimeContext,
    StreamExecutionEnvironment,
)
from pyflink.datastream.connectors.file_system import FileSink, FileSource, RollingPolicy, StreamFormat
from pyflink.datastream.state import ValueStateDescriptor


class TrackUser(KeyedProcessFunction):  # type: ignore[misc]  # PyFlink is untyped
    """The histories, keyed by user.

    Input: behaviours, and one record per user with the earlier history. Output: each behaviour with its user's history.
    """

    def open(self, runtime_context: RuntimeContext) -> None:
        """Open the state."""
        from job.bench.peers.histories import apply

        self._apply = apply
        descriptor = ValueStateDescriptor("history", Types.PICKLED_BYTE_ARRAY())
        self._history = runtime_context.get_state(descriptor)

    def process_element(self, value: dict[str, Any], ctx: "KeyedProcessFunction.Context") -> Iterator[Any]:
        """Set an earlier history, or yield (behaviour, history)."""
        if "history" in value:
            self._history.update(value["history"])
            return
        history = self._history.value() or []
        self._apply(history, value["action"], value["item_id"])
        self._history.update(history)
        yield value, history


class CallModel(MapFunction):  # type: ignore[misc]
    """A map with one call of the model for each event."""

    def __init__(self, bundle: str) -> None:
        self._bundle = bundle

    def open(self, runtime_context: RuntimeContext) -> None:
        """Load the model."""
        from job.bench.peers.recommend import Recommend

        self._recommend = Recommend(Path(self._bundle))

    def map(self, value: Any) -> Any:
        """Turn (behaviour, history) into (behaviour, answer)."""
        behavior, history = value
        return behavior, self._recommend([history])[0]


class AskModel(AsyncFunction):  # type: ignore[misc]
    """The same as an async function, whose calls run on a separate thread."""

    def __init__(self, bundle: str) -> None:
        self._bundle = bundle

    def open(self, runtime_context: RuntimeContext) -> None:
        """Load the model."""
        from job.bench.peers.recommend import Recommend

        self._recommend = Recommend(Path(self._bundle))
        self._thread = ThreadPoolExecutor(1)

    async def async_invoke(self, value: Any) -> list[Any]:
        """Turn (behaviour, history) into (behaviour, answer)."""
        import asyncio

        behavior, history = value
        answers = await asyncio.get_running_loop().run_in_executor(self._thread, self._recommend, [history])
        return [(behavior, answers[0])]


class UpdateList(KeyedProcessFunction):  # type: ignore[misc]
    """The lists, keyed by user. Input: (behaviour, answer). Output: the new list as a line of JSON."""

    def open(self, runtime_context: RuntimeContext) -> None:
        """Open the state."""
        from job.bench.peers.recommend import made_list

        self._made_list = made_list
        self._list = runtime_context.get_state(ValueStateDescriptor("list", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, value: Any, ctx: "KeyedProcessFunction.Context") -> Iterator[str]:
        """Yield the user's next list."""
        behavior, answer = value
        previous = self._list.value()
        version = 1 if previous is None else previous["list_version"] + 1
        new = self._made_list(behavior, version, answer)
        self._list.update(new)
        yield json.dumps(new)


def main() -> None:
    """Declare the job and submit it."""
    parser = argparse.ArgumentParser()
    for name in ("--input", "--output", "--bundle", "--call"):
        parser.add_argument(name, required=True)
    parser.add_argument("--parallelism", type=int, required=True)
    asked = parser.parse_args()
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(asked.parallelism)
    source = FileSource.for_record_stream_format(StreamFormat.text_line_format(), asked.input).build()
    lines = env.from_source(source, WatermarkStrategy.no_watermarks(), "behaviors").set_parallelism(1)
    tracked = lines.map(json.loads).set_parallelism(1).key_by(lambda behavior: behavior["user_id"]).process(TrackUser())
    if asked.call == "map":
        scored = tracked.map(CallModel(asked.bundle))
    else:
        scored = AsyncDataStream.ordered_wait(
            tracked, AskModel(asked.bundle), Time.seconds(10), 100, Types.PICKLED_BYTE_ARRAY()
        )
    lists = scored.key_by(lambda made: made[0]["user_id"]).process(UpdateList(), Types.STRING())
    lists.sink_to(
        FileSink.for_row_format(asked.output, Encoder.simple_string_encoder())
        .with_rolling_policy(RollingPolicy.default_rolling_policy())
        .build()
    )
    env.execute("plain-pyflink")


if __name__ == "__main__":
    main()
