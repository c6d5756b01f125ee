"""Clients of kafka-python (3.0.12) that leave nothing behind where they fail, and report a refusal at once."""

from collections.abc import Callable, Sequence
from typing import Any

from kafka.errors import AuthorizationError, LeaderNotAvailableError, SaslAuthenticationFailedError
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from udfs.kafka.connection import KafkaConnection


class _Connections(KafkaConnectionManager):
    """Connections that remember a refusal: kafka-python would ask again, and in the end report that nobody answers."""

    def __init__(self, net: Any, **configs: Any) -> None:
        super().__init__(net, **configs)
        self.refusal: Exception | None = None

    def get_connection(self, node_id: Any, **options: Any) -> Any:
        """Return a connection as kafka-python does; raise the refusal of the time before."""
        if self.refusal is not None:
            raise self.refusal
        connection = super().get_connection(node_id, **options)
        if not connection.init_future.is_done:
            connection.init_future.add_errback(self._remember)
        return connection

    async def _build_transport(self, node: Any, timeout_at: Any = None) -> Any:
        transport = await super()._build_transport(node, timeout_at=timeout_at)
        receive = transport._sock_recv

        def received() -> tuple[bytes, Any]:
            """Keep what a broker sends right before it closes, such as why it refuses: kafka-python drops it."""
            data, error = receive()
            # The end is still there to be read again.
            return data, None if data else error

        transport._sock_recv = received
        return transport

    def _remember(self, error: Exception) -> None:
        if isinstance(error, SaslAuthenticationFailedError | AuthorizationError):
            self.refusal = error


def connect(kind: Callable[..., Any], connection: KafkaConnection, **options: Any) -> tuple[Any, Any]:
    """Return a client of kafka-python, and its view of the cluster.

    Args:
        kind: KafkaConsumer, KafkaAdminClient or KafkaProducer.
        connection: the brokers, and the credentials for them.
        options: options beside those of the connection.

    Raises:
        SecretMissingError: a secret is not there.
        KafkaError: nobody answers within 10 s (KafkaTimeoutError), or they refuse.
    """
    made: list[Any] = []

    def network(**configs: Any) -> Any:
        net = NetworkSelector(**configs)
        made.append(KafkaNetClient(net, _Connections(net, **configs), **configs))
        # No option passes allow_auto_create_topics on to the place where topics are asked for.
        made[0].cluster.config["allow_auto_create_topics"] = False
        return made[0]

    try:
        return kind(**connection.client_options(), **options, kafka_client=network), made[0].cluster
    except BaseException:
        for client in made:
            client.close()
        raise


def offsets_found(ask: Callable[..., dict[Any, int]], partitions: Sequence[Any], *, timeout_ms: int) -> dict[Any, int]:
    """Return an offset of each partition, as kafka-python's consumer finds it.

    Args:
        ask: its method beginning_offsets or end_offsets.
        partitions: of kafka-python's type.
        timeout_ms: longest wait for the brokers.

    Raises:
        LeaderNotAvailableError: a partition has no leader now; kafka-python leaves it out, and stumbles over that.
        KafkaError: the brokers do not answer, or refuse.
    """
    try:
        return ask(partitions, timeout_ms=timeout_ms)
    except KeyError as error:
        numbers = ", ".join(str(each.partition) for each in error.args)
        msg = f"partition {numbers} has no leader: bring the broker back that has it"
        raise LeaderNotAvailableError(msg) from error


def refusal(cluster: Any) -> Exception | None:
    """Return why brokers refuse the client that this view of the cluster belongs to; None where they do not.

    The client itself would ask again and again.
    """
    found: Exception | None = cluster._manager.refusal
    return found
