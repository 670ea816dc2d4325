"""Flower's configuration, read by ``celery -A workers.app flower --conf=config/flower.py``.

Environment: METAQORE_FLOWER_AUTH (``user:password``, needed), METAQORE_FLOWER_PORT (5555) and FLOWER_ADDRESS
(127.0.0.1). Flower leaves /healthcheck and /metrics open in spite of the password, so keep its port off public
networks.
"""

import os

if ":" not in os.environ.get("METAQORE_FLOWER_AUTH", ""):
    raise SystemExit("METAQORE_FLOWER_AUTH is needed to start Flower: set it to user:password")


def format_task(task):
    """Show no arguments and no results: they belong to the organization that sent them, not to the operator."""
    for field in ("args", "kwargs", "result", "exception", "traceback"):
        if getattr(task, field, None):
            setattr(task, field, "(hidden)")
    return task


basic_auth = [os.environ["METAQORE_FLOWER_AUTH"]]
port = int(os.environ.get("METAQORE_FLOWER_PORT", "5555"))
address = os.environ.get("FLOWER_ADDRESS", "127.0.0.1")

# Asks the workers for their task events while Flower runs, so that no worker pays for events that nobody reads.
enable_events = True
# Flower only shows; what changes something goes through the API, where it is audited.
read_only = True
# Counts that must last are in the database.
persistent = False
max_tasks = 10_000
purge_offline_workers = 300
tasks_columns = "name,uuid,state,received,started,runtime,worker,retries"
