"""The operators that publish lists and dead letters to Kafka topics."""
