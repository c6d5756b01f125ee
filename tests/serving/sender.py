"""A client that sends on, whatever happens to the server, and remembers what was acknowledged."""

import threading
import time

import httpx

from job.serving.answers import BehaviorIn
from job.serving.client import Client, RefusedError

USERS = 20
ITEMS = 200


def click(number: int) -> BehaviorIn:
    user, item = f"user-{number % USERS}", str(number % ITEMS + 1)
    return BehaviorIn(user_id=user, action="click", item_id=item, event_id=f"event-{number}")


class Sender:
    """A thread that sends clicks, one after the other: what is not acknowledged is sent again.

    Attributes:
        acknowledged: event id -> the place that the answer named.
    """

    def __init__(self, port: int, *, pause_s: float = 0.0) -> None:
        self.acknowledged: dict[str, str] = {}
        self._port = port
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        number = 1_000_000
        with Client(f"http://127.0.0.1:{self._port}", timeout_s=30.0) as client:
            while not self._stop.is_set():
                behavior = click(number)
                try:
                    self.acknowledged[str(behavior.event_id)] = client.append(behavior).after
                    number += 1
                except (httpx.HTTPError, RefusedError):
                    time.sleep(0.01)
                self._stop.wait(self._pause_s)

    def newest(self) -> dict[str, str]:
        """The place of each user's last acknowledged click."""
        return {click(int(event.partition("-")[2])).user_id: at for event, at in self.acknowledged.items()}

    def end(self) -> None:
        self._stop.set()
        self._thread.join()
