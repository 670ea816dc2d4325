"""The named queues, and what API and workers must agree on about the broker.

This module is data: it imports neither Celery nor Redis. ``celery_config`` is the one place for Celery's settings;
the reasons are, shortly, beside each line.

A message is a ring and no job, so what is advised for jobs does not hold: there are no time limits, since lease and
heartbeat of the work say whether it goes on; prefetch is not disabled, since a ring that a busy worker holds back is
heard with its next look, or with the sweep; connections are not limited, since a process has a handful.
"""

from __future__ import annotations

from typing import Any, Final

from metaqore.errors import SettingsError

QUEUES: Final = ("psmp", "security", "llm", "hmcp", "system")

#: Celery's key space in Redis, and the channel on which finished requests are announced to the API processes.
KEY_PREFIX: Final = "mq:"
DONE_CHANNEL: Final = "mq:done"
#: What is rung where something was stopped or may go on: no queue, every process that can be heard looks again.
STOPS: Final = "stops"
STOPS_CHANNEL: Final = "mq:stops"
#: A stopped Redis must never hold a thread for longer than this.
_SOCKETS: Final = {
    "socket_timeout": 5, "socket_connect_timeout": 2, "socket_keepalive": True, "health_check_interval": 10,
}  # fmt: skip


def drain_task(queue: str) -> str:
    """Return the name of the task that drains ``queue``; the message is only a ring."""
    return f"metaqore.{queue}.drain"


def result_key(request_id: str) -> str:
    """Return the key under which Celery's Redis result backend looks for a result."""
    return f"{KEY_PREFIX}celery-task-meta-{request_id}"


def celery_config(redis_url: str, *, result_expires_s: int) -> dict[str, Any]:
    """Return Celery's settings for API and workers.

    Raises:
        SettingsError: there is no broker; Celery itself would take whatever listens on port 6379 of this machine.
    """
    if not redis_url:
        raise SettingsError("METAQORE_REDIS_URL is not set: workers, beat and Flower need the API's broker")
    return {
        "broker_url": redis_url,
        "result_backend": redis_url,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        # Results are stored by the executor, all of a batch in one call; Celery itself stores none.
        "task_ignore_result": True,
        "result_expires": result_expires_s,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        "task_create_missing_queues": False,
        "task_default_queue": "system",
        "task_track_started": False,
        "worker_hijack_root_logger": False,
        "worker_soft_shutdown_timeout": 10.0,
        "worker_enable_soft_shutdown_on_idle": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            **_SOCKETS,
            "global_keyprefix": KEY_PREFIX,
            "visibility_timeout": 1800,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": 30,
        },
        "result_backend_transport_options": {"global_keyprefix": KEY_PREFIX},
        "redis_socket_timeout": 5.0,
        "redis_socket_connect_timeout": 2.0,
        "redis_socket_keepalive": True,
        "redis_backend_health_check_interval": 10,
        "redbeat_redis_url": redis_url,
        "redbeat_key_prefix": f"{KEY_PREFIX}beat:",
        "redbeat_lock_timeout": 30,
        "timezone": "UTC",
        "enable_utc": True,
    }
