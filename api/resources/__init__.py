"""Resources, one module per feature."""
