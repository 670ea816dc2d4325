"""Modules that are run with ``python -m metaqore.scripts.<name>``; they read files and need no database."""
