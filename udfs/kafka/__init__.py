"""How Kafka is reached: connection settings and clients."""
