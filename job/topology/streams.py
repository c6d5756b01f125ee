"""The wiring that PyFlink lacks: keys and side outputs without an extra Python operator, and a clock for polling.

`DataStream.key_by` and `DataStream.get_side_output` each run a Python function of their own on every record. Our
elements are Rows whose first field is already the key, and our side outputs are strings, so Java does both alone.
"""

from typing import Any

from pyflink.common import Configuration, Types
from pyflink.common.typeinfo import TypeInformation
from pyflink.datastream import DataStream, KeyedStream, OutputTag, StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment


def element_type() -> TypeInformation:
    """Return the type of the elements between operators: Row(key: int, element: bytes)."""
    return Types.ROW([Types.INT(), Types.PRIMITIVE_ARRAY(Types.BYTE())])


def keyed(stream: DataStream) -> KeyedStream:
    """Return the stream keyed by the first field of its Rows; the operator gets the second."""
    key_type = Types.ROW([Types.INT()]).get_java_type_info()
    by_first_field = stream._j_data_stream.keyBy(get_gateway().jvm.KeyByKeySelector(), key_type)
    return KeyedStream(by_first_field, Types.PRIMITIVE_ARRAY(Types.BYTE()), stream)


def side_output(stream: DataStream, tag: OutputTag) -> DataStream:
    """Return the operator's side output of the tag."""
    return DataStream(stream._j_data_stream.getSideOutput(tag.get_java_output_tag()))


def step(stream: DataStream, uid: str) -> DataStream:
    """Name the operator; its state is found again by this uid, so it is never renamed."""
    return stream.uid(uid).name(uid)


def use_thread_mode(env: StreamExecutionEnvironment) -> None:
    """Run operators declared from here on inside the TaskManager's JVM, where state is a call away."""
    _set(env, "python.execution-mode", "thread")


def use_process_mode(env: StreamExecutionEnvironment) -> None:
    """Run operators declared from here on in Python processes beside the JVM, as AsyncFunction needs."""
    _set(env, "python.execution-mode", "process")


def ticks(env: StreamExecutionEnvironment) -> DataStream:
    """Return an endless stream of one record a second from Flink's own generator."""
    tables = StreamTableEnvironment.create(env)
    tables.get_config().set("table.exec.uid.generation", "ALWAYS")
    tables.execute_sql("CREATE TEMPORARY TABLE tick (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '1')")
    return tables.to_data_stream(tables.from_path("tick"))


def _set(env: StreamExecutionEnvironment, key: str, value: Any) -> None:
    configuration = Configuration()
    configuration.set_string(key, value)
    env.configure(configuration)
