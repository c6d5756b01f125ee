"""The output tables: their definitions, their files, compaction, and SQL over them by DuckDB or Flink."""
