"""The code that runs inside Flink operators; the pure files import no Flink."""
