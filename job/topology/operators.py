"""The operators of one deployment: plain values of settings and plan, put into the functions that run in Flink."""

from collections.abc import Callable

from job.settings.job_settings import JobSettings
from job.settings.planned_job import JobPlan
from job.topology.rules import (
    action_table,
    batch_rules,
    cache_rules,
    call_rules,
    deployment_id,
    device_rules,
    list_rules,
    parsing_rules,
    profile_rules,
    scoring_rules,
    trend_rules,
)
from job.topology.served_models import variants
from model.actions import ActionTable
from udfs.feedback.measure_feedback import MeasureFeedback
from udfs.lists.fallbacks import BundleFallbacks
from udfs.lists.update_lists import UpdateLists, UpdateRules
from udfs.log.file_log import FileLog
from udfs.log.kafka_log import KafkaLog
from udfs.log.poll_log import FindPartitions, PollLog, PollRules
from udfs.log.reader import Log
from udfs.log.take_records import KeyRecords, TakeRecords
from udfs.model_serving.score_candidates import PassUnscored, ScoreCandidates, Serving
from udfs.model_serving.variants import Variant
from udfs.publishing.list_files import WriteLists
from udfs.publishing.publication import OutRecord, dead_letter_record, list_record
from udfs.publishing.publish import Publish
from udfs.trends.find_trends import FindTrends
from udfs.users.track_users import TrackUsers


class Operators:
    """The operators that `job.pipeline` wires together."""

    def __init__(self, settings: JobSettings, plan: JobPlan) -> None:
        actions, deployment = action_table(settings), deployment_id(plan)
        served = variants(settings, plan.bundle_hashes)
        lists, publish, buckets = settings.lists, settings.publish, settings.flink.buckets
        log = behavior_log(settings, plan)
        self.in_flight = settings.scoring.elements_in_flight
        self.find_partitions = FindPartitions(log, buckets)
        self.key_records = KeyRecords(buckets)
        polling = PollRules(
            interval_ms=settings.log.poll_interval_ms,
            max_records=settings.log.max_poll_records,
            max_parallelism=buckets,
            parsing=parsing_rules(settings, actions),
            deployment=deployment,
        )
        # Flink's own connector hands on records, so nothing is polled.
        native = settings.reads_natively
        self.poll_log = TakeRecords(polling.parsing, buckets, deployment) if native else PollLog(log, polling)
        self.track_users = TrackUsers(
            profile_rules(settings, actions), frozenset(lists.withdrawn), with_trends=lists.trend_weight > 0
        )
        self.find_trends = FindTrends(trend_rules(settings), buckets)
        self.score_candidates = _scoring(settings, served, actions) if settings.has_model else PassUnscored()
        # All variants share the first one's fallbacks, so that a test compares models.
        rules_of_lists = UpdateRules(
            lists=list_rules(settings, actions), prediction_sample_rate=settings.tables.prediction_sample_rate
        )
        fallbacks = BundleFallbacks.needed(served[0].source if served else None, rules_of_lists.lists)
        self.update_lists = UpdateLists(rules_of_lists, fallbacks)
        self.measure_feedback = MeasureFeedback(deployment)
        lists_topic = None if settings.publishes_natively else publish.lists_topic
        self.publish_lists = _publisher(settings, lists_topic, list_record)
        self.write_lists = None if publish.lists_folder is None else WriteLists(publish.lists_folder, settings.job_name)
        self.publish_dead_letters = _publisher(settings, publish.dead_letters_topic, dead_letter_record)
        # There are never more in flight: an AsyncFunction finishes them at the end of every bundle.
        self.publishing = settings.flink.bundle_size


def behavior_log(settings: JobSettings, plan: JobPlan) -> Log:
    """Return the log that behaviours are read from."""
    log = settings.log
    if log.kind == "files":
        return FileLog(log.folder)
    return KafkaLog(
        connection=settings.kafka.connection(),
        topic=log.topic,
        group=log.group,
        start_offsets=plan.start_offsets,
        skip_gone=log.gone == "skip",
    )


def _scoring(settings: JobSettings, served: tuple[Variant, ...], actions: ActionTable) -> ScoreCandidates:
    scoring = settings.scoring
    serving = Serving(
        variants=served,
        salt=settings.models.salt,
        poll_s=settings.models.poll_interval.total_seconds(),
        threads=scoring.threads,
        device=device_rules(settings),
        batches=batch_rules(settings),
        calls=call_rules(settings),
        shed_after_ms=scoring.shed_after_ms,
        coalesce=scoring.coalesce,
        cache=cache_rules(settings),
        enough=_enough(settings),
    )
    return ScoreCandidates(serving, scoring_rules(settings, actions))


def _enough(settings: JobSettings) -> int | None:
    """Return the number of candidates that make a list: its length, unless a list may leave some of them out."""
    lists = settings.lists
    leave_some_out = (
        lists.max_per_group,
        lists.max_new_items,
        lists.withdrawn,
        lists.update_interval,
        lists.explore_share,
    )
    return None if any(leave_some_out) else lists.length


def _publisher(settings: JobSettings, topic: str | None, to_record: Callable[[str], OutRecord]) -> Publish | None:
    """Return the publisher of a topic; None without one."""
    if topic is None:
        return None
    compression = None if settings.publish.compression == "none" else settings.publish.compression
    return Publish(topic, settings.kafka.connection(), compression, to_record)
