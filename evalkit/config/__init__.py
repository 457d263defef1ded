"""YAML to frozen configuration values; every error names file, line and column."""
