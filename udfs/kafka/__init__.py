"""Access to Kafka: connection settings and clients."""
