"""Flask: the thin HTTP door."""
