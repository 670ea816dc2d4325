"""Any server with OpenAI's chat completions API: OpenAI, OpenRouter, vLLM, llama.cpp, Ollama …

One POST to ``{base_url}/chat/completions`` for each command, over kept-alive connections, several at once. Each call
is tried once; trying again belongs to the request. Neither prompts nor answers nor keys reach a log line or an error
message: of a provider's error body only ``type`` and ``code`` are kept, because its message may quote the prompt.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import urllib3

from metaqore.adapters.flights import Flight, Flights, NotFlown, cuttable, watched
from metaqore.clock import now_ms
from metaqore.errors import InvalidInput
from metaqore.llm.assemble import Assembled, assemble
from metaqore.llm.config import ProviderSpec
from metaqore.llm.model import (
    Completion,
    GenerateCommand,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    Usage,
    stopped,
)
from metaqore.llm.ports import GoOn
from metaqore.llm.rules import estimate_tokens
from metaqore.per_process import PerProcess

#: Below this a prefix is too short for the wait that its leader costs to pay.
LEADER_TOKENS = 256
#: Statuses after which another attempt may succeed (RFC 9110 and 6585), besides 5xx.
_PASSING = frozenset({408, 409, 425, 429})
#: Longest wait we take from a provider, seconds.
_MAX_RETRY_AFTER_S = 3600.0
_CHUNK = 65536

Answer = Completion | ProviderError


class OpenAIProvider:
    """Provider of kind ``openai``. Connections are opened at the first call, in the process that makes it."""

    def __init__(self, name: str, spec: ProviderSpec, api_key: str | None = None) -> None:
        self._name = name
        self._spec = spec
        self._api_key = api_key
        self._url = (spec.base_url or "").rstrip("/") + "/chat/completions"
        self._connections = PerProcess(
            lambda: cuttable(urllib3.PoolManager(num_pools=1, maxsize=spec.concurrency, retries=False))
        )

    @property
    def name(self) -> str:
        """The name it is configured under."""
        return self._name

    def __repr__(self) -> str:
        return f"OpenAIProvider({self._name!r}, {self._url!r})"

    def complete(self, batch: Sequence[GenerateCommand], go_on: GoOn | None = None) -> list[Answer]:
        """Return one answer or error for each command, in order. See ``metaqore.llm.ports.Provider``.

        Of calls that share a long static prefix the first goes ahead and the others follow when it is answered:
        sent at once, each would compute the prefix anew on a cold cache.
        """
        answers: dict[int, Answer] = {}
        ready, followers = self._prepare(batch, answers)
        with watched(go_on) as flights:
            if len(ready) == 1 and not followers:
                index, assembled = ready[0]
                answers[index] = self._call(batch[index], assembled, flights.of(index))
            elif ready:
                self._run(batch, ready, followers, answers, flights)
        return [answers[index] for index in range(len(batch))]

    def _prepare(
        self, batch: Sequence[GenerateCommand], answers: dict[int, Answer]
    ) -> tuple[list[tuple[int, Assembled]], dict[int, list[tuple[int, Assembled]]]]:
        """Return what can be sent now, and by leader what follows it. What cannot be sent is answered here."""
        ready: list[tuple[int, Assembled]] = []
        followers: dict[int, list[tuple[int, Assembled]]] = {}
        leader: dict[tuple[str | None, str], int] = {}
        for index, command in enumerate(batch):
            try:
                assembled = assemble(command)
            except InvalidInput as error:
                answers[index] = ProviderRefused(error.message, provider=self._name, reason="invalid_prompt")
                continue
            of = (command.model, assembled.prefix_hash)
            if assembled.prefix_tokens >= LEADER_TOKENS and of in leader:
                followers.setdefault(leader[of], []).append((index, assembled))
                continue
            leader[of] = index
            ready.append((index, assembled))
        return ready, followers

    def _run(
        self,
        batch: Sequence[GenerateCommand],
        ready: list[tuple[int, Assembled]],
        followers: dict[int, list[tuple[int, Assembled]]],
        answers: dict[int, Answer],
        flights: Flights,
    ) -> None:
        workers = min(len(batch), self._spec.concurrency)
        with ThreadPoolExecutor(workers, thread_name_prefix=f"llm-{self._name}") as threads:
            running: dict[Future[Answer], int] = {}
            while ready or running:
                for index, assembled in ready:
                    running[threads.submit(self._call, batch[index], assembled, flights.of(index))] = index
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                ready = []
                for future in done:
                    index = running.pop(future)
                    answers[index] = future.result()
                    ready += followers.pop(index, [])

    def _call(self, command: GenerateCommand, assembled: Assembled, flight: Flight) -> Answer:
        with flight.flown() as may_leave:
            answer = self._exchange(command, assembled) if may_leave else stopped(self._name)
        # Where its connection was cut, whatever else went wrong is what a cut looks like from here.
        if may_leave and flight.is_cut and isinstance(answer, ProviderError):
            return stopped(self._name, may_have_run=answer.may_have_run)
        return answer

    def _exchange(self, command: GenerateCommand, assembled: Assembled) -> Answer:
        deadline = time.monotonic() + self._spec.total_timeout_s
        try:
            response = self._connections().request(
                "POST",
                self._url,
                body=msgspec.json.encode(self._body(command, assembled)),
                headers=self._headers(),
                timeout=urllib3.Timeout(connect=self._spec.connect_timeout_s, read=self._spec.read_timeout_s),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            return self._no_answer(error)
        try:
            body = self._read(response, deadline)
        except urllib3.exceptions.HTTPError as error:
            response.close()
            return self._no_answer(error)
        except _TooMuch as error:
            response.close()
            return self._unavailable(str(error), reason=error.reason)
        response.release_conn()
        if response.status != 200:
            return self._refusal(response.status, response.headers, body)
        return self._completion(body, command, assembled)

    def _read(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        """Read the body piece by piece: a socket timeout alone would let a slow drip go on for ever."""
        body = bytearray()
        while chunk := response.read1(_CHUNK):
            body += chunk
            if len(body) > self._spec.max_response_bytes:
                raise _TooMuch("too_large", f"the answer exceeds max_response_bytes={self._spec.max_response_bytes}")
            if time.monotonic() > deadline:
                raise _TooMuch("timeout", f"no whole answer within total_timeout_s={self._spec.total_timeout_s}")
        return bytes(body)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "metaqore"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        return headers

    def _body(self, command: GenerateCommand, assembled: Assembled) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": command.model or self._spec.models[0],
            "messages": [{"role": m.role, "content": m.content} for m in assembled.messages],
            "temperature": command.temperature,
            self._spec.max_tokens_field: command.max_tokens,
        }
        if command.seed is not None:
            body["seed"] = command.seed
        if command.stop:
            body["stop"] = list(command.stop)
        return {name: value for name, value in body.items() if name not in self._spec.omit}

    def _no_answer(self, error: urllib3.exceptions.HTTPError) -> ProviderError:
        """Only a connection that was never made is sure to have cost nothing."""
        never_sent = isinstance(
            error, NotFlown | urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
        )
        if isinstance(error, urllib3.exceptions.SSLError):
            return self._unavailable("the TLS connection failed: check base_url and certificates", reason="tls")
        if isinstance(error, urllib3.exceptions.LocationValueError):
            return ProviderRefused(
                f"provider {self._name!r}: base_url {self._spec.base_url!r} is not a usable URL",
                provider=self._name,
                reason="bad_url",
            )
        if never_sent:
            what = f"no connection within connect_timeout_s={self._spec.connect_timeout_s}: is it running?"
            return self._unavailable(what, reason="connect", may_have_run=False)
        if isinstance(error, urllib3.exceptions.TimeoutError):
            return self._unavailable(f"silent for read_timeout_s={self._spec.read_timeout_s}", reason="timeout")
        return self._unavailable(f"the connection broke ({type(error).__name__})", reason="connection")

    def _unavailable(
        self, what: str, *, reason: str, may_have_run: bool = True, retry_after_s: float | None = None
    ) -> ProviderUnavailable:
        return ProviderUnavailable(
            f"provider {self._name!r}: {what}",
            provider=self._name,
            reason=reason,
            retry_after_s=retry_after_s,
            may_have_run=may_have_run,
        )

    def _refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        code = _error_code(body)
        what = f"status {status}" + (f" ({code})" if code else "")
        quota = "insufficient_quota" in code.split("/")
        if (status in _PASSING or status >= 500) and not quota:
            reason = "rate_limited" if status == 429 else "unavailable"
            return self._unavailable(
                what, reason=reason, may_have_run=status >= 500, retry_after_s=retry_after_s(headers)
            )
        hint = {
            401: f"check the key in {self._spec.api_key_env or 'api_key_env (none is set)'}",
            403: "the key may not use this model",
            404: "check base_url and the model's name",
            413: "the prompt is too large",
        }.get(status, "the same request would be refused again")
        if quota:
            hint = "the account's quota is used up"
        if 300 <= status < 400:
            hint = "redirects are not followed, so that no prompt goes elsewhere: correct base_url"
        return ProviderRefused(
            f"provider {self._name!r}: {what}: {hint}", provider=self._name, reason=code or f"status_{status}"
        )

    def _completion(self, body: bytes, command: GenerateCommand, assembled: Assembled) -> Answer:
        try:
            answer = msgspec.json.decode(body, type=_Answer)
            choice = answer.choices[0]
        except (msgspec.MsgspecError, UnicodeDecodeError, IndexError):
            return self._unavailable("status 200, but the body is no chat completion", reason="garbled")
        text = choice.message.content or ""
        return Completion(
            text=text,
            usage=_usage(answer.usage, assembled, text),
            provider=self._name,
            model=answer.model or command.model or self._spec.models[0],
            finish_reason=choice.finish_reason or "stop",
        )


class _TooMuch(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Said(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Said
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Used(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None


class _Answer(msgspec.Struct):
    """The part of a chat completion that is used; other members are passed over."""

    choices: list[_Choice]
    model: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


def _usage(counted: msgspec.Raw, assembled: Assembled, text: str) -> Usage:
    """Return the provider's count, or the gateway's estimate where there is none that makes sense."""
    try:
        used = msgspec.json.decode(counted, type=_Used | None)
    except msgspec.MsgspecError:
        used = None
    if used is None or min(used.prompt_tokens, used.completion_tokens) < 0:
        return Usage(assembled.prompt_tokens, estimate_tokens(text), estimated=True)
    cached = (used.prompt_tokens_details.cached_tokens if used.prompt_tokens_details else None) or 0
    return Usage(used.prompt_tokens, used.completion_tokens, max(0, min(cached, used.prompt_tokens)))


def _error_code(body: bytes) -> str:
    """Return ``type/code`` of an OpenAI error body as far as they are plain words; its message is never kept."""
    try:
        error = msgspec.json.decode(body).get("error")
        words = [error.get("type"), error.get("code")]
    except (msgspec.MsgspecError, UnicodeDecodeError, AttributeError):
        return ""
    plain = [word for word in words if isinstance(word, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", word)]
    return "/".join(dict.fromkeys(plain))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks for (RFC 9110 §10.2.3), at most an hour; None where it is absent.

    Both forms are read, seconds and a date, and the ``retry-after-ms`` that some providers send.
    """
    millis, value = headers.get("retry-after-ms", ""), headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,12}", millis):
        wait_s = int(millis) / 1000
    elif re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
        wait_s = float(value)
    else:
        try:
            wait_s = parsedate_to_datetime(value).timestamp() - now_ms() / 1000
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, min(wait_s, _MAX_RETRY_AFTER_S))
