"""The embedded default: Valkey and all processes in one command."""
