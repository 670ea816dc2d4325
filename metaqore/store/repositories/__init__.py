"""Reads and writes, one module per feature."""
