"""What a model call is: the command, its messages, the answer and what it used.

No I/O here. ``assemble`` turns a command into the messages that are sent; adapters send them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NoReturn

import msgspec

from metaqore.canonical import canonical_json, content_hash, sha256_hex
from metaqore.errors import InvalidInput, MetaQoreError, Retryable

Role = Literal["system", "developer", "user", "assistant"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Slot = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}\Z")]


#: What a caller declares of a call; it is stored with its decision.
Declared = Annotated[str, msgspec.Meta(max_length=200)]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message of a conversation."""

    role: Role
    content: str


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A prompt with named slots, ``{{name}}``. Other braces are text; ``\\{{`` is a literal ``{{``."""

    id: Name
    text: Annotated[str, msgspec.Meta(min_length=1)]
    #: A system message in front of ``text``; it may have slots too.
    system: str | None = None

    @property
    def key(self) -> str:
        """``<id>@<16 hex digits>``: the same id with other words is another template."""
        return f"{self.id}@{content_hash([self.system, self.text]).removeprefix('sha256:')[:16]}"


class GenerateCommand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request for one completion: exactly one of ``prompt``, ``messages`` and ``template``."""

    prompt: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    messages: Annotated[tuple[Message, ...], msgspec.Meta(min_length=1, max_length=1000)] | None = None
    template: Template | None = None
    #: Slot → value. A string goes in as it is, anything else as canonical JSON (RFC 8785).
    variables: dict[Slot, Any] = {}
    #: None leaves the choice to the routing rule.
    model: Name | None = None
    provider: Name | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 256
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.0
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    stop: Annotated[tuple[Annotated[str, msgspec.Meta(min_length=1)], ...], msgspec.Meta(max_length=4)] = ()
    #: What SecureGateway judges besides the text. Flags raise the sensitivity, never lower it.
    task_type: Declared | None = None
    agent_name: Declared | None = None
    has_private_data: bool = False
    has_sensitive_data: bool = False
    is_security_task: bool = False
    #: Artifacts that the prompt was made from: it inherits their labels, and so does the answer.
    inputs: Annotated[tuple[Name, ...], msgspec.Meta(max_length=100)] = ()
    #: Whether a specialist may answer. None: where neither provider nor model is named.
    specialist: bool | None = None

    @classmethod
    def from_json(cls, payload: object) -> GenerateCommand:
        """Return the command that ``payload`` (a parsed JSON object) describes.

        Raises:
            InvalidInput: with ``errors``, a list of {"pointer": RFC 6901 pointer, "detail": text}.
        """
        try:
            command = msgspec.convert(payload, cls)
        except msgspec.ValidationError as error:
            _refuse_validation(error)
        given = [name for name in ("prompt", "messages", "template") if getattr(command, name) is not None]
        if len(given) != 1:
            detail = f"give exactly one of prompt, messages and template; {' and '.join(given) or 'none'} given"
            _refuse(f"/{given[1]}" if given else "", detail)
        if command.variables and command.template is None:
            _refuse("/variables", "variables need a template; leave them out or send a template")
        canonical_json(msgspec.to_builtins(command))  # refuses NaN, lone surrogates and the like
        return command

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that ``from_json`` reads back; fields at their default are left out."""
        built: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return built

    @property
    def content_hash(self) -> str:
        """SHA-256 of everything that shapes the answer. Flags and names that only governance reads are left out."""
        governance = {
            "task_type", "agent_name", "has_private_data", "has_sensitive_data", "is_security_task", "inputs",
            "specialist",
        }  # fmt: skip
        return content_hash({k: v for k, v in self.to_json().items() if k not in governance})


class CallKey(msgspec.Struct, frozen=True):
    """Names one outside call, so that its stored answer is found again after a crash.

    The provider is no part of it: a second attempt may be routed elsewhere and is still the same call.
    """

    organization: str
    request_id: str

    def __str__(self) -> str:
        return "call:" + sha256_hex(canonical_json([self.organization, self.request_id])).removeprefix("sha256:")


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one call. ``cached_tokens`` is the part of ``prompt_tokens`` that the provider had in its cache."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    #: True where the provider did not count and the gateway's rule did (see ``rules.estimate_tokens``).
    estimated: bool = False


class Completion(msgspec.Struct, frozen=True):
    """One answer. ``finish_reason`` is the provider's word: stop, length, content_filter …"""

    text: str
    usage: Usage
    provider: str
    model: str
    finish_reason: str

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that is stored and given to the caller."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Completion:
        """Return the completion that ``to_json`` wrote."""
        return msgspec.convert(stored, cls)


class ProviderError(MetaQoreError):
    """The provider did not answer.

    Messages hold names, statuses and error codes; never the prompt, the answer or a key.

    Attributes:
        provider: name of the provider.
        retryable: whether another attempt may succeed.
        retry_after_s: seconds that the provider asked us to wait, or None.
        may_have_run: the provider may have done (and charged) the work although no answer came.
    """

    code = "provider_error"
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        reason: str,
        retry_after_s: float | None = None,
        may_have_run: bool = False,
    ) -> None:
        super().__init__(message, provider=provider, reason=reason)
        self.provider = provider
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.may_have_run = may_have_run


class ProviderRefused(ProviderError):
    """The provider refused for good: the request, the model name or the key is wrong."""

    code = "provider_refused"


class ProviderUnavailable(ProviderError, Retryable):
    """The provider is down, slow, overloaded or answered nonsense; another attempt may succeed."""

    code = "provider_unavailable"
    retryable = True


def stopped(provider: str, *, may_have_run: bool = False) -> ProviderUnavailable:
    """Return what stands in place of an answer where a stop kept a call from leaving, or cut it off."""
    what = "cut off while it was out" if may_have_run else "kept from leaving"
    return ProviderUnavailable(
        f"provider {provider!r}: the call was {what}: somebody stopped it",
        provider=provider,
        reason="stopped",
        may_have_run=may_have_run,
    )


_PATH = re.compile(r"^(?P<what>.*?)(?: - at (?:`key` in )?`\$(?P<path>[^`]*)`)?$", re.DOTALL)


def _refuse(pointer: str, detail: str) -> NoReturn:
    where = f" at {pointer}" if pointer else ""
    raise InvalidInput(f"llm.generate{where}: {detail}", errors=[{"pointer": pointer, "detail": detail}])


def _refuse_validation(error: msgspec.ValidationError) -> NoReturn:
    """Raise InvalidInput with msgspec's path (``$.messages[0].role``) as a JSON pointer (``/messages/0/role``)."""
    found = _PATH.match(str(error))
    what, path = (found["what"], found["path"] or "") if found else (str(error), "")
    pointer = re.sub(r"\[(\d+)\]", r"/\1", path).replace("[...]", "").replace(".", "/")
    unknown = re.search(r"unknown field `([^`]*)`", what)
    if unknown:
        pointer += "/" + unknown[1].replace("~", "~0").replace("/", "~1")
    _refuse(pointer, what)
