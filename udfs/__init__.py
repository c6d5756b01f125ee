"""What runs inside Flink operators; the pure files know no Flink."""
