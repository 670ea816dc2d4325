"""The worker's own transport: kombu's, with one client for each pool."""

from __future__ import annotations

from kombu import Connection

from metaqore.embedded.broker import Broker


def test_a_channel_keeps_its_client_until_its_pool_is_gone(valkey: Broker) -> None:
    with Connection(valkey.url, transport="workers.transport:Transport") as connection:
        channel = connection.channel()
        with channel.conn_or_acquire() as first, channel.conn_or_acquire() as again:
            assert first is again
            assert first.ping()

        channel._disconnect_pools()
        with channel.conn_or_acquire() as renewed:
            assert renewed is not first
            assert renewed.ping()
