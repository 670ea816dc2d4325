"""Govern artifacts: versions, conflicts, lifecycles."""
