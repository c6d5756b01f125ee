"""Apache Kafka beside the job: a broker for development, topics and lags, and replaying into a topic."""
