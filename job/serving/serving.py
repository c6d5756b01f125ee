"""A server's parts, put together: the store, the follower that fills it, and what answers are made of."""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from job.kafka.topics import end_offsets
from job.serving.answers import Recommendations
from job.serving.appending import FilesAppender, LogAppender, TopicAppender
from job.serving.catalogue import Catalogue
from job.serving.errors import ServingError
from job.serving.events import Events
from job.serving.follower import Follower
from job.serving.history import Place
from job.serving.meters import Meters
from job.serving.recommend import ReadRules, recommendations
from job.serving.serve_settings import ServeSettings
from job.serving.store import ListStore
from job.serving.taking import ServedLists, TakeBehaviors
from job.serving.trending import Trending
from job.serving.waiting import until_seen
from job.serving.withdrawn import WithdrawnItems
from job.settings.job_settings import JobSettings
from job.topology.rules import action_table, parsing_rules, trend_rules
from model.records import ItemId, UserId
from udfs.log.file_log import FileLog
from udfs.log.kafka_log import KafkaLog
from udfs.log.reader import Log

_GROUP = "-serving"


@dataclass(frozen=True)
class Serving:
    """Everything that routes use; `open_serving` makes it.

    Attributes:
        settings: of the server.
        job: of the job whose lists are served.
        store: the lists and behaviours.
        events: the changes, broadcast.
        catalogue: titles, groups, similar and popular items.
        follower: the thread that fills the store.
        trends: what is trending.
        take: the path of sent behaviours into the log.
        served: the newest answers.
        meters: what is counted.
        rules: what may be shown.
    """

    settings: ServeSettings
    job: JobSettings
    store: ListStore
    events: Events
    catalogue: Catalogue
    follower: Follower
    trends: Trending
    take: TakeBehaviors
    served: ServedLists
    meters: Meters
    rules: ReadRules

    def recommend(self, user_id: UserId, *, n: int, exclude: Collection[ItemId] = ()) -> Recommendations:
        """Return a user's list as it may be shown now, and remember it by its request id."""
        answer = recommendations(
            user_id,
            self.store.list_of(user_id),
            self.store.history_of(user_id),
            rules=self.rules,
            catalogue=self.catalogue,
            trending=self.trends.strongest,
            n=n,
            exclude=exclude,
            now_ms=int(time.time() * 1000),
        )
        self.served.add(answer)
        return answer

    def trending(self, n: int) -> list[tuple[ItemId, float]]:
        """Return what is trending, strongest first, without withdrawn items."""
        withdrawn = self.rules.withdrawn()
        return [entry for entry in self.trends.strongest.items() if entry[0] not in withdrawn][:n]

    async def has_seen(self, user_id: UserId, after: Place, wait_s: float) -> bool:
        """Wait until the user's list has seen a place in the log; return False if the time is over before."""
        return await until_seen(self.store, self.events, user_id, after, wait_s)


@contextmanager
def open_serving(job: JobSettings, settings: ServeSettings) -> Iterator[Serving]:
    """Open the store, and have it followed while the block runs.

    Args:
        job: the settings of the job, resolved.
        settings: of the server.

    Raises:
        ServingError: the job publishes no lists, or the store cannot be opened.
        BundleError: the bundle is damaged.
        TablesError: the folder is no bundle and no data set.
    """
    lists = lists_log(job)
    actions = action_table(job)
    parsing = parsing_rules(job, actions)
    folder = settings.bundle or job.scoring.bundle
    catalogue = Catalogue.of(folder)
    with ExitStack() as opened:
        store = opened.enter_context(ListStore(settings.store))
        trends = Trending(store, trend_rules(job), actions)
        events, meters, served = Events(), Meters(), ServedLists()
        follower = Follower(
            store,
            behaviors=behavior_log(job),
            lists=lists,
            rules=parsing,
            event_ids_limit=job.profile.event_ids_limit,
            trending=trends,
            events=events,
            poll_s=job.log.poll_interval_ms / 1000,
            ends=_ends,
        )
        appender = _appender(job)
        opened.callback(appender.close)
        follower.start()
        opened.callback(follower.stop)
        withdrawn = WithdrawnItems(job.tables.folder, job.lists.withdrawn)
        yield Serving(
            settings=settings,
            job=job,
            store=store,
            events=events,
            catalogue=catalogue,
            follower=follower,
            trends=trends,
            take=TakeBehaviors(store, appender, parsing, served=served, newest_ms=follower.newest_ms, meters=meters),
            served=served,
            meters=meters,
            rules=ReadRules(actions=actions, withdrawn=withdrawn, exclude_seen=job.lists.exclude_seen),
        )


def behavior_log(job: JobSettings) -> Log:
    """Return the log that behaviours are read from, from its oldest record."""
    if job.log.kind == "files":
        return FileLog(job.log.folder)
    return _topic(job, job.log.topic)


def lists_log(job: JobSettings) -> Log:
    """Return the log or topic of published lists.

    Raises:
        ServingError: the job publishes none.
    """
    if job.publish.lists_folder is not None:
        return FileLog(job.publish.lists_folder)
    if job.publish.lists_topic is not None:
        return _topic(job, job.publish.lists_topic)
    msg = (
        "the settings publish no lists, so there is nothing to serve: deploy and serve with "
        "--set publish.lists_folder=.recloop/lists, or with publish.lists_topic"
    )
    raise ServingError(msg)


def _ends(log: Log) -> Mapping[int, int]:
    """Return for each partition of a topic the offset that its next record gets; files are read to their ends at once.

    Raises:
        TopicError: there is no such topic, or the brokers do not answer.
    """
    return end_offsets(log.connection, log.topic) if isinstance(log, KafkaLog) else {}


def _topic(job: JobSettings, topic: str) -> Log:
    connection = job.kafka.connection()
    # Of a compacted topic, and of one that forgets by time, what is still there is read.
    return KafkaLog(connection=connection, topic=topic, group=job.log.group + _GROUP, start_offsets=(), skip_gone=True)


def _appender(job: JobSettings) -> LogAppender:
    if job.log.kind == "files":
        return FilesAppender(job.log.folder)
    return TopicAppender(job.kafka.connection(), job.log.topic)
