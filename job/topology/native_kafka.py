"""Kafka through Flink's own connector, for clusters that have its jar (`flink-sql-connector-kafka`).

The connector emits single records, and one call into Python a record is the largest cost. So SQL joins the records
of a partition that come within a few milliseconds into one text, in Java.
"""

from pathlib import Path

from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from job.kafka.native_login import jaas_quoted
from job.settings.job_settings import JobSettings
from job.settings.kafka import KafkaSettings
from udfs.log.take_records import FIELD_END, NO_VALUE, RECORD_END

_SOURCE = """CREATE TEMPORARY TABLE behavior_log (
  `partition` INT METADATA VIRTUAL,
  `offset` BIGINT METADATA VIRTUAL,
  `appended_at` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  `value` STRING,
  `read_at` AS PROCTIME()
) WITH ({options})"""
# This charset gives one character a byte, for any bytes.
_FORMAT = {"format": "raw", "raw.charset": "ISO-8859-1"}
# The time is passed as a number, because Flink writes a time beyond the year 9999 as another year.
_APPENDED_MS = (
    "COALESCE(CAST(EXTRACT(EPOCH FROM `appended_at`) * 1000 + EXTRACT(MILLISECOND FROM `appended_at`) AS STRING), '')"
)
_JOINED = """SELECT `partition`, ENCODE(LISTAGG(
    CONCAT(CAST(`offset` AS STRING), '{field}', {appended_ms}, '{field}', COALESCE(`value`, '{none}')),
    '{record}'), 'UTF-8') AS records
FROM TABLE(TUMBLE(TABLE behavior_log, DESCRIPTOR(`read_at`), INTERVAL '0.{interval_ms:03d}' SECOND))
GROUP BY window_start, window_end, `partition`"""

_SINK = "CREATE TEMPORARY TABLE published_lists (`user_id` STRING, `list` STRING) WITH ({options})"
_SINGLE = """INSERT INTO published_lists SELECT JSON_VALUE(`line`, '$.user_id'), `line`
FROM list_rows CROSS JOIN UNNEST(SPLIT(`lines`, '\n')) AS single (`line`)"""

# Kafka's classes have other names inside the connector's jar.
_SHADED = "org.apache.flink.kafka.shaded.org.apache.kafka"
_FOR_EVER = str(2**31 - 1)
_PLACES = {
    "config.providers": "directory,env",
    "config.providers.directory.class": f"{_SHADED}.common.config.provider.DirectoryConfigProvider",
    "config.providers.env.class": f"{_SHADED}.common.config.provider.EnvVarConfigProvider",
}


def topic_records(env: StreamExecutionEnvironment, settings: JobSettings, start_offsets: tuple[int, ...]) -> DataStream:
    """Return a stream of Row(partition, its records in the form that `udfs/log/take_records.py` reads).

    Args:
        env: Flink's environment.
        settings: the resolved settings.
        start_offsets: where partition 0, 1, ... begin without state; others with their oldest record.
    """
    tables, log = _tables(env), settings.log
    options = {
        **_connection(settings.kafka),
        **_FORMAT,
        "topic": log.topic,
        "scan.topic-partition-discovery.interval": "1 s",
        "properties.group.id": log.group,
        "properties.isolation.level": "read_committed",
        "scan.startup.mode": "specific-offsets" if start_offsets else "earliest-offset",
    }
    if start_offsets:
        offsets = (f"partition:{partition},offset:{at}" for partition, at in enumerate(start_offsets))
        options["scan.startup.specific-offsets"] = ";".join(offsets)
    tables.execute_sql(_SOURCE.format(options=_sql(options)))
    interval_ms = min(log.poll_interval_ms, 999)
    query = _JOINED.format(
        field=FIELD_END, record=RECORD_END, none=NO_VALUE, appended_ms=_APPENDED_MS, interval_ms=interval_ms
    )
    return tables.to_data_stream(tables.sql_query(query))


def publish_lists(env: StreamExecutionEnvironment, lists: DataStream, settings: JobSettings) -> None:
    """Write rows of recommendation_lists, one or more lines a string, to their topic, keyed by user.

    Delivery is at least once, as with our own publisher; a user's partition is by Kafka's hash of the key.
    """
    tables = _tables(env)
    tables.create_temporary_view("list_rows", tables.from_data_stream(lists).alias("lines"))
    options = {
        **_connection(settings.kafka),
        "topic": str(settings.publish.lists_topic),
        "key.format": "raw",
        "key.fields": "user_id",
        "value.format": "raw",
        "value.fields-include": "EXCEPT_KEY",
        "sink.delivery-guarantee": "at-least-once",
        "properties.compression.type": settings.publish.compression,
        # The sink waits for brokers that are away.
        "properties.delivery.timeout.ms": _FOR_EVER,
        "properties.max.block.ms": _FOR_EVER,
    }
    tables.execute_sql(_SINK.format(options=_sql(options)))
    statements = tables.create_statement_set()
    statements.add_insert_sql(_SINGLE)
    statements.attach_as_datastream()


def _tables(env: StreamExecutionEnvironment) -> StreamTableEnvironment:
    tables = StreamTableEnvironment.create(env)
    tables.get_config().set("table.exec.uid.generation", "ALWAYS")
    tables.get_config().set("table.local-time-zone", "UTC")
    return tables


def _connection(kafka: KafkaSettings) -> dict[str, str]:
    """Return the client's properties; secrets only as places, which Kafka's client resolves on every TaskManager."""
    properties = {"bootstrap.servers": str(kafka.brokers), "security.protocol": kafka.security}
    if kafka.security.startswith("SASL"):
        module = "plain.PlainLoginModule" if kafka.mechanism == "PLAIN" else "scram.ScramLoginModule"
        login = f'username={jaas_quoted(str(kafka.username))} password="{_looked_up(str(kafka.password))}"'
        properties["sasl.mechanism"] = str(kafka.mechanism)
        properties["sasl.jaas.config"] = f"{_SHADED}.common.security.{module} required {login};"
    if kafka.security.endswith("SSL"):
        if kafka.ca_file is not None:
            properties |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(kafka.ca_file)}
        if kafka.certificate_file is not None:
            chain, key = _looked_up(f"file:{kafka.certificate_file}"), _looked_up(f"file:{kafka.key_file}")
            properties |= {"ssl.keystore.type": "PEM", "ssl.keystore.certificate.chain": chain, "ssl.keystore.key": key}
        if kafka.key_password is not None:
            properties["ssl.key.password"] = _looked_up(kafka.key_password)
    return {"connector": "kafka", **{f"properties.{name}": value for name, value in (properties | _PLACES).items()}}


def _looked_up(place: str) -> str:
    """Return the expression that Kafka's client replaces by the content of a file, or by a variable."""
    kind, _, name = place.partition(":")
    if kind == "env":
        return f"${{env:{name}}}"
    path = Path(name)
    return f"${{directory:{path.parent}:{path.name}}}"


def _sql(options: dict[str, str]) -> str:
    quoted = {key: value.replace("'", "''") for key, value in options.items()}
    return ", ".join(f"'{key}' = '{value}'" for key, value in quoted.items())
