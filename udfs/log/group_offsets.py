"""The job's read offsets, committed for a consumer group so that other tools see its lag; the job never reads them.

A thread of its own commits them: a group coordinator that is slow or away holds nothing up, and only the tools see
less.
"""

import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from udfs.errors import LogError
from udfs.kafka.client import connect
from udfs.kafka.connection import KafkaConnection

_INTERVAL_S = 5.0
_LAST_S = 2.0
"""Longest wait for the last commit."""
_log = logging.getLogger(__name__)


class GroupOffsets:
    """A thread that commits the offsets of one topic every 5 s where they changed, and once more when it is closed."""

    def __init__(
        self, connection: KafkaConnection, topic: str, group: str, offsets: Callable[[], dict[int, int]]
    ) -> None:
        """Start the thread; it calls `offsets`, which returns partition -> next offset."""
        self._connection = connection
        self._topic = topic
        self._group = group
        self._offsets = offsets
        self._admin: Any = None
        self._committed: dict[int, int] = {}
        self._closed = Event()
        self._thread = Thread(target=self._run, name=f"group-offsets-{group}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Commit once more, within 2 s."""
        self._closed.set()
        self._thread.join(_LAST_S)

    def _run(self) -> None:
        while not self._closed.wait(_INTERVAL_S):
            self._commit()
        self._commit()
        self._disconnect()

    def _commit(self) -> None:
        """Commit the offsets that changed, for a group without members, as manual assignment leaves it."""
        offsets = self._offsets()
        changed = {each: offset for each, offset in offsets.items() if self._committed.get(each) != offset}
        if not changed:
            return
        wanted = {TopicPartition(self._topic, each): OffsetAndMetadata(at, "", -1) for each, at in changed.items()}
        try:
            if self._admin is None:
                self._admin, _ = connect(KafkaAdminClient, self._connection)
            for tp, error in self._admin.alter_group_offsets(self._group, wanted).items():
                if error.errno:
                    raise error
                self._committed[tp.partition] = changed[tp.partition]
        except (KafkaError, LogError, OSError) as error:
            _log.warning("the offsets of group %s in topic %s were not committed: %r", self._group, self._topic, error)
            self._disconnect()

    def _disconnect(self) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None
