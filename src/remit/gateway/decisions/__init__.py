"""The decision point: what other enforcement points ask, and how they are answered."""
