"""A topic's settings with which the job runs, but not well: each is told with what to set."""

import pytest

from job.kafka.behaviors_topic import topic_advice

KEEPS = {"cleanup.policy": "delete", "retention.ms": "-1"}


@pytest.mark.parametrize("timestamp_type", ["CreateTime", None])
def test_a_replayable_job_is_advised_against_a_topic_without_append_times(timestamp_type: str | None) -> None:
    configs = {**KEEPS, "message.timestamp.type": timestamp_type}
    (advice,) = topic_advice("clicks", configs, replayable=True)
    assert f"topic clicks has message.timestamp.type={timestamp_type}" in advice
    assert "--topic clicks --add-config message.timestamp.type=LogAppendTime" in advice
    assert "\n" not in advice


@pytest.mark.parametrize(
    ("timestamp_type", "replayable"), [("LogAppendTime", True), ("LogAppendTime", False), ("CreateTime", False)]
)
def test_nobody_is_advised_where_the_log_or_the_clock_judges_times(timestamp_type: str, *, replayable: bool) -> None:
    configs: dict[str, str | None] = {**KEEPS, "message.timestamp.type": timestamp_type}
    assert list(topic_advice("clicks", configs, replayable=replayable)) == []


@pytest.mark.parametrize(("kept_ms", "advised"), [("3600000", True), ("86400000", False), ("-1", False), (None, False)])
def test_a_topic_that_keeps_records_for_less_than_a_day_is_told(kept_ms: str | None, *, advised: bool) -> None:
    configs = {"cleanup.policy": "delete", "retention.ms": kept_ms}
    assert (
        any("for 1 h (retention.ms)" in each for each in topic_advice("clicks", configs, replayable=False)) is advised
    )
