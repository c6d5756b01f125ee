"""The root of the errors of the behaviour log, above the log's own and Kafka's."""

from model.errors import RecloopError


class LogError(RecloopError):
    """A log that can't be read on; the root of the behaviour log's errors.

    LogError
    |- MissingLogError      no such folder, or no log.json in it; no such topic
    |- LogDamagedError      log.json holds something else (udfs/log/reader.py)
    |- LogTruncatedError    a file is shorter than what was read of it
    |- LogReplacedError     a file's content before the read position changed; a topic was made anew
    |- OffsetsGoneError     records were removed before they were read
    |- LogRefusedError      the brokers do not let us read
    `- SecretMissingError   a secret or certificate is not where the settings name it (udfs/kafka/connection.py)
    """
