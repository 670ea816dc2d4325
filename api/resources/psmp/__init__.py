"""PSMP's resources: projects, artifacts, tasks, conflicts."""
