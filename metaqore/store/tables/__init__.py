"""Table definitions, one module per feature."""
