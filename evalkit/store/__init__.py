"""The run store in DuckDB: one writer, many readers."""
