"""MetaQore: admission control and a merge queue for what AI agents produce."""

__version__ = "0.1.0"
