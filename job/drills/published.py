"""The lists that a drill's job published, as their readers get them."""

from collections.abc import Iterator

from job.drills.topic_log import read_topic
from job.settings.job_settings import JobSettings


def published_lists(settings: JobSettings) -> Iterator[bytes]:
    """Yield every list that was published so far, partition by partition."""
    folder = settings.publish.lists_folder
    if folder is not None:
        for file in sorted(folder.glob("partition-*.jsonl")):
            yield from file.read_bytes().split(b"\n")[:-1]
    topic = settings.publish.lists_topic
    if topic is not None:
        yield from (record.value for record in read_topic(settings.kafka.connection(), topic))
