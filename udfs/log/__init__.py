"""The operator poll-log and the behaviour log it reads, from files or a Kafka topic."""
