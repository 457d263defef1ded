"""The systems under test, one file a kind."""
