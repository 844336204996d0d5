"""Programs that call a guarded server in all the ways that a caller can look like: run as files, by any Python."""
