"""The operators of one deployment: plain values from the settings, put into the functions that run in Flink."""

from job.settings.job_settings import JobSettings
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
from udfs.publishing.publication import dead_letter_record, list_record
from udfs.publishing.publish import Publish
from udfs.trends.find_trends import FindTrends
from udfs.users.track_users import TrackUsers


class Operators:
    """The operators that `job.pipeline` wires together."""

    def __init__(self, settings: JobSettings) -> None:
        actions = action_table(settings)
        log = behavior_log(settings)
        buckets = settings.flink.buckets
        self.in_flight = settings.scoring.elements_in_flight
        self.find_partitions = FindPartitions(log, buckets)
        self.key_records = KeyRecords(buckets)
        self.poll_log = _reader(settings, log, actions)
        profiles, withdrawn = profile_rules(settings, actions), frozenset(settings.lists.withdrawn)
        self.track_users = TrackUsers(profiles, withdrawn, with_trends=settings.lists.trend_weight > 0)
        self.find_trends = FindTrends(trend_rules(settings), buckets)
        self.score_candidates = _scoring(settings, actions)
        rules_of_lists = UpdateRules(
            lists=list_rules(settings, actions), prediction_sample_rate=settings.tables.prediction_sample_rate
        )
        self.update_lists = UpdateLists(rules_of_lists, _fallbacks(settings))
        self.measure_feedback = MeasureFeedback(deployment_id(settings))
        self.publish_lists, self.publish_dead_letters = _publishing(settings)
        # There are never more in flight: an AsyncFunction finishes them at the end of every bundle.
        self.publishing = settings.flink.bundle_size


def behavior_log(settings: JobSettings) -> Log:
    """Return the log that behaviours are read from."""
    log = settings.log
    if log.kind == "files":
        return FileLog(log.folder)
    connection = settings.kafka.connection()
    return KafkaLog(connection, log.topic, log.group, log.start_offsets, skip_gone=log.gone == "skip")


def _poll_rules(settings: JobSettings, actions: ActionTable) -> PollRules:
    log = settings.log
    return PollRules(
        interval_ms=log.poll_interval_ms,
        max_records=log.max_poll_records,
        max_parallelism=settings.flink.buckets,
        parsing=parsing_rules(settings, actions),
        deployment=deployment_id(settings),
    )


def _reader(settings: JobSettings, log: Log, actions: ActionTable) -> PollLog | TakeRecords:
    """Return the operator that reads the log by itself, or takes the records of Flink's own connector."""
    rules = _poll_rules(settings, actions)
    if settings.reads_natively:
        return TakeRecords(rules.parsing, rules.max_parallelism, rules.deployment)
    return PollLog(log, rules)


def _fallbacks(settings: JobSettings) -> BundleFallbacks:
    """Return the fallbacks of the first variant's bundle; all variants share them, so that a test compares models."""
    source = next((variant.source for variant in variants(settings)), None)
    return BundleFallbacks(source, with_groups=settings.lists.max_per_group is not None)


def _scoring(settings: JobSettings, actions: ActionTable) -> ScoreCandidates | PassUnscored:
    scoring = settings.scoring
    if not settings.has_model:
        return PassUnscored()
    serving = Serving(
        variants=variants(settings),
        salt=settings.models.salt,
        poll_s=settings.models.poll_interval.total_seconds(),
        threads=scoring.threads,
        device=device_rules(settings),
        batches=batch_rules(settings),
        calls=call_rules(settings),
        shed_after_ms=scoring.shed_after_ms,
        coalesce=scoring.coalesce,
        cache=cache_rules(settings),
    )
    return ScoreCandidates(serving, scoring_rules(settings, actions))


def _publishing(settings: JobSettings) -> tuple[Publish | None, Publish | None]:
    """Return the publishers of lists and of dead letters; None without a topic, or if Flink's connector writes."""
    publish = settings.publish
    if not publish.topics:
        return None, None
    compression = None if publish.compression == "none" else publish.compression
    connection = settings.kafka.connection()
    lists, letters = publish.lists_topic, publish.dead_letters_topic
    return (
        None if lists is None or settings.publishes_natively else Publish(lists, connection, compression, list_record),
        None if letters is None else Publish(letters, connection, compression, dead_letter_record),
    )
