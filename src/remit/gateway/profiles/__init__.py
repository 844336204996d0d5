"""Route profiles: one TOML file a server kind."""
