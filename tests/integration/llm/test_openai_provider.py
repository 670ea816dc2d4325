"""The OpenAI adapter against a real HTTP server on the loopback, well-behaved and not."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from metaqore.adapters.flights import Flights
from metaqore.adapters.openai_provider import OpenAIProvider, retry_after_s
from metaqore.clock import now_ms
from metaqore.llm.assemble import assemble
from metaqore.llm.config import ProviderSpec
from metaqore.llm.model import Completion, GenerateCommand, Message, ProviderError, Template
from metaqore.llm.rules import estimate_tokens

KEY = "sk-very-secret-key"
PROMPT = "the-confidential-prompt"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # Hanging handlers are released by the test's end and need not be joined.
    block_on_close = False

    def __init__(self, reply: Callable[[Handler, dict[str, Any]], None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply = reply
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.connections = 0
        self.lock = threading.Lock()
        self.over = threading.Event()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.lock:
            self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are what these tests are about."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.seen.append((self.path, dict(self.headers.items()), body))
        self.server.reply(self, body)

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serving(reply: Callable[[Handler, dict[str, Any]], None]) -> Iterator[Server]:
    with Server(reply) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def chat(text: str = "fine", **more: Any) -> bytes:
    answer = {
        "model": "m-2026",
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop", "index": 0}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8}},
        "object": "chat.completion",
    }
    return json.dumps({**answer, **more}).encode()


def fine(handler: Handler, body: dict[str, Any]) -> None:
    handler.send(200, chat())


def provider(url: str, **more: Any) -> OpenAIProvider:
    spec = {"connect_timeout_s": 30.0, "read_timeout_s": 60.0, "total_timeout_s": 60.0, "concurrency": 4, **more}
    return OpenAIProvider("far", ProviderSpec("openai", "cloud", "eu", ("m",), base_url=url, **spec), KEY)


def one(far: OpenAIProvider, **more: Any) -> Completion | ProviderError:
    return far.complete([GenerateCommand(**{"prompt": PROMPT, "model": "m", **more})])[0]


def failure(far: OpenAIProvider) -> ProviderError:
    got = one(far)
    assert isinstance(got, ProviderError)
    assert PROMPT not in str(got) + repr(got.details)
    assert KEY not in str(got) + repr(got.details)
    return got


def test_a_command_becomes_one_chat_completion() -> None:
    with serving(fine) as server:
        got = one(provider(server.url), temperature=0.5, seed=7, stop=("END",), max_tokens=9)

    path, headers, body = server.seen[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": PROMPT}],
        "temperature": 0.5,
        "max_tokens": 9,
        "seed": 7,
        "stop": ["END"],
    }
    assert isinstance(got, Completion)
    assert (got.text, got.provider, got.model, got.finish_reason) == ("fine", "far", "m-2026", "stop")
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.cached_tokens) == (11, 3, 8)
    assert not got.usage.estimated


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"prompt_tokens": -1}, "many"])
def test_a_server_that_does_not_count_gets_an_estimate_that_says_so(usage: Any) -> None:
    with serving(lambda handler, body: handler.send(200, chat("four", usage=usage))) as server:
        got = one(provider(server.url))
    assert isinstance(got, Completion)
    assert got.usage.estimated
    assert got.usage.prompt_tokens == estimate_tokens(PROMPT) + 4


def test_the_newer_name_of_max_tokens_can_be_configured() -> None:
    with serving(fine) as server:
        one(provider(server.url, max_tokens_field="max_completion_tokens"), max_tokens=5)
    assert server.seen[0][2]["max_completion_tokens"] == 5
    assert "max_tokens" not in server.seen[0][2]


def test_what_a_model_refuses_to_be_told_is_left_out() -> None:
    with serving(fine) as server:
        one(provider(server.url, omit=("temperature", "seed")), seed=7)
    assert server.seen[0][2].keys() == {"model", "messages", "max_tokens"}


def test_answers_come_in_the_order_of_the_batch_and_one_failure_costs_no_other() -> None:
    def reply(handler: Handler, body: dict[str, Any]) -> None:
        text = body["messages"][0]["content"]
        handler.send(400, b"{}") if text == "3" else handler.send(200, chat(text))

    with serving(reply) as server:
        got = provider(server.url).complete([GenerateCommand(prompt=str(n), model="m") for n in range(12)])
    texts = [each.text if isinstance(each, Completion) else each.reason for each in got]
    assert texts == ["status_400" if n == 3 else str(n) for n in range(12)]


def test_calls_of_a_batch_run_at_the_same_time_up_to_the_configured_number() -> None:
    together, most, lock = threading.Barrier(4), [0, 0], threading.Lock()

    def reply(handler: Handler, body: dict[str, Any]) -> None:
        with lock:
            most[0] += 1
            most[1] = max(most)
        together.wait(timeout=60)  # passes only when four calls are in flight
        with lock:
            most[0] -= 1
        handler.send(200, chat())

    with serving(reply) as server:
        far = provider(server.url, read_timeout_s=60.0, total_timeout_s=60.0)
        got = far.complete([GenerateCommand(prompt=str(n), model="m") for n in range(8)])
    assert all(isinstance(each, Completion) for each in got)
    assert most[1] == 4


def test_of_calls_with_a_long_common_prefix_the_first_goes_ahead() -> None:
    overtaken, alone = threading.Event(), []

    def reply(handler: Handler, body: dict[str, Any]) -> None:
        if body["messages"][-1]["content"] == "0":
            alone.append(not overtaken.wait(0.2))  # time enough for a follower to come too early
        else:
            overtaken.set()
        handler.send(200, chat())

    template = Template("t", "{{x}}", system="s" * 2000)
    batch = [GenerateCommand(template=template, variables={"x": str(n)}, model="m") for n in range(4)]
    with serving(reply) as server:
        got = provider(server.url).complete(batch)
    assert alone == [True]
    assert all(isinstance(each, Completion) for each in got)


def test_connections_are_kept_and_used_again() -> None:
    with serving(fine) as server:
        far = provider(server.url)
        for _ in range(5):
            one(far)
    assert (len(server.seen), server.connections) == (5, 1)


@pytest.mark.parametrize(
    ("status", "retryable", "reason"),
    [
        (500, True, "unavailable"),
        (503, True, "unavailable"),
        (529, True, "unavailable"),
        (429, True, "rate_limited"),
        (408, True, "unavailable"),
        (400, False, "status_400"),
        (401, False, "status_401"),
        (404, False, "status_404"),
        (307, False, "status_307"),
    ],
)
def test_a_status_says_whether_another_attempt_may_succeed(status: int, retryable: bool, reason: str) -> None:
    def reply(handler: Handler, body: dict[str, Any]) -> None:
        handler.send(status, f"we do not like {PROMPT}".encode(), Retry_After="7", Location="http://127.0.0.1:1/")

    with serving(reply) as server:
        got = failure(provider(server.url))
    assert (got.retryable, got.reason) == (retryable, reason)
    assert got.retry_after_s == (7.0 if retryable else None)
    assert len(server.seen) == 1  # neither retried nor redirected here


def test_an_error_code_is_kept_and_its_message_is_not() -> None:
    error = {"type": "invalid_request_error", "code": "context_length_exceeded", "message": f"bad: {PROMPT} {KEY}"}
    with serving(lambda handler, body: handler.send(400, json.dumps({"error": error}).encode())) as server:
        got = failure(provider(server.url))
    assert got.reason == "invalid_request_error/context_length_exceeded"


def test_a_used_up_quota_is_final_although_its_status_is_429() -> None:
    body = json.dumps({"error": {"type": "insufficient_quota", "code": "insufficient_quota"}}).encode()
    with serving(lambda handler, _: handler.send(429, body)) as server:
        assert not failure(provider(server.url)).retryable


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>busy</html>", b"[]", b'{"choices": []}', b'{"choices": [{}]}', b"\xff\xfe", b'{"choices": 1}'],
)
def test_garbage_with_status_200_is_no_answer(body: bytes) -> None:
    with serving(lambda handler, _: handler.send(200, body)) as server:
        got = failure(provider(server.url))
    assert (got.retryable, got.reason, got.may_have_run) == (True, "garbled", True)


def test_a_silent_server_is_given_up_after_the_read_timeout() -> None:
    def hang(handler: Handler, body: dict[str, Any]) -> None:
        handler.server.over.wait(600)

    with serving(hang) as server:
        got = failure(provider(server.url, read_timeout_s=0.3))
    assert (got.retryable, got.reason, got.may_have_run) == (True, "timeout", True)


def test_a_slow_drip_is_given_up_after_the_total_timeout() -> None:
    def drip(handler: Handler, body: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not handler.server.over.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    with serving(drip) as server:
        got = failure(provider(server.url, total_timeout_s=1.0))
    assert (got.retryable, got.reason) == (True, "timeout")
    assert "total_timeout_s" in got.message


def test_an_endless_answer_is_given_up_at_the_size_limit() -> None:
    def endless(handler: Handler, body: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while not handler.server.over.is_set():
            handler.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    with serving(endless) as server:
        got = failure(provider(server.url, max_response_bytes=100_000, total_timeout_s=60.0))
    assert got.reason == "too_large"


@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"]
)
def test_a_cut_connection_is_no_answer(sent: bytes) -> None:
    def cut(handler: Handler, body: dict[str, Any]) -> None:
        handler.wfile.write(sent)
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    with serving(cut) as server:
        got = failure(provider(server.url))
    assert (got.retryable, got.may_have_run) == (True, True)


def test_after_a_cut_connection_the_next_call_succeeds() -> None:
    def reply(handler: Handler, body: dict[str, Any]) -> None:
        if len(handler.server.seen) == 2:
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
        else:
            handler.send(200, chat())

    with serving(reply) as server:
        far = provider(server.url)
        got = [one(far) for _ in range(3)]
    assert [isinstance(each, Completion) for each in got] == [True, False, True]


def test_nobody_listening_costs_nothing_for_sure() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        got = failure(provider(f"http://127.0.0.1:{held.getsockname()[1]}/v1"))
    assert (got.retryable, got.reason, got.may_have_run) == (True, "connect", False)


def test_a_template_without_its_variable_fails_alone_and_is_not_sent() -> None:
    with serving(fine) as server:
        broken = GenerateCommand(template=Template("t", "{{a}}"), model="m")
        got = provider(server.url).complete([broken, GenerateCommand(messages=(Message("user", "x"),), model="m")])
    assert [isinstance(each, ProviderError) for each in got] == [True, False]
    assert len(server.seen) == 1


def test_neither_prompt_nor_answer_nor_key_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with serving(lambda handler, body: handler.send(200, chat("the-answer"))) as server:
        with caplog.at_level(logging.DEBUG):
            far = provider(server.url)
            one(far)
        assert KEY not in repr(far)
    logged = caplog.text + "".join(repr(record.__dict__) for record in caplog.records)
    assert not [secret for secret in (KEY, PROMPT, "the-answer") if secret in logged]


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "5"}, 5.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "99999999"}, 3600.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], wait: float | None) -> None:
    assert retry_after_s(headers) == wait


def test_retry_after_as_a_date_is_the_time_until_then() -> None:
    from email.utils import formatdate

    wait = retry_after_s({"retry-after": formatdate(now_ms() / 1000 + 60, usegmt=True)})
    assert wait is not None
    assert 30 < wait <= 60


@pytest.mark.parametrize("concurrency", [1, 4])
def test_what_is_stopped_while_it_is_out_is_cut_off_and_what_waits_behind_it_does_not_leave(concurrency: int) -> None:
    out, hung_up = threading.Event(), threading.Barrier(concurrency + 1)

    def reply(handler: Handler, body: dict[str, Any]) -> None:
        out.set()
        # Says nothing until the other side is gone.
        if handler.rfile.read(1) == b"":
            hung_up.wait(timeout=60)

    with serving(reply) as server:
        far = provider(server.url, concurrency=concurrency)
        batch = [GenerateCommand(prompt=PROMPT + str(n), model="m") for n in range(9)]
        # All that can be out at once are, before anything is stopped.
        got = far.complete(batch, lambda _index: len(server.seen) < concurrency)
        hung_up.wait(timeout=60)

    assert out.is_set()
    assert len(server.seen) == concurrency
    assert all(isinstance(each, ProviderError) and each.reason == "stopped" for each in got)
    assert sum(each.may_have_run for each in got if isinstance(each, ProviderError)) == concurrency


def test_a_call_that_is_stopped_while_it_is_connected_does_not_leave() -> None:
    asked: list[int] = []

    def go_on(index: int) -> bool:
        asked.append(index)
        return len(asked) == 1

    flight = Flights(go_on).of(0)
    command = GenerateCommand(prompt=PROMPT, model="m")
    with serving(fine) as server, flight.flown() as may_leave:
        flight.look()
        got = provider(server.url)._exchange(command, assemble(command))

    assert may_leave
    assert flight.is_cut
    assert isinstance(got, ProviderError)
    assert not got.may_have_run
    assert server.seen == []
