"""The worker's own transport: kombu's, with one client for each pool."""

from __future__ import annotations

import pytest
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


def test_what_is_taken_is_noted_and_what_is_acknowledged_is_forgotten(valkey: Broker) -> None:
    with Connection(valkey.url, transport="workers.transport:Transport") as connection:
        queue = connection.SimpleQueue("noted")
        reader = connection.channel().client
        for number in range(3):
            queue.put({"number": number})
        taken = [queue.get(timeout=60) for _ in range(3)]
        assert [message.payload["number"] for message in taken] == [0, 1, 2]
        assert reader.hlen("unacked") == reader.zcard("unacked_index") == 3

        taken[0].ack()
        taken[1].reject()
        taken[2].requeue()
        again = queue.get(timeout=60)
        assert again.payload == {"number": 2}
        again.ack()
        assert reader.hlen("unacked") == reader.zcard("unacked_index") == 0
        queue.close()


def test_a_lost_connection_is_noticed_and_what_was_not_taken_is_there_on_a_new_one(valkey: Broker) -> None:
    with Connection(valkey.url, transport="workers.transport:Transport") as connection:
        queue = connection.SimpleQueue("lost")
        reader = connection.channel().client
        for number in range(3):
            queue.put({"number": number})
        taken = [queue.get(timeout=60) for _ in range(2)]
        reader.client_kill_filter(skipme=True, _type="normal")
        with pytest.raises(connection.connection_errors):
            for message in taken:
                message.ack()

    with Connection(valkey.url, transport="workers.transport:Transport") as connection:
        queue = connection.SimpleQueue("lost")
        # What was not acknowledged may have been put back in front of it.
        while (again := queue.get(timeout=60)).payload != {"number": 2}:
            again.ack()
        again.ack()
