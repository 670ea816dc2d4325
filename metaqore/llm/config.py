"""Providers, as ``config/providers.yaml`` declares them. Read strictly: what is not understood is refused."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from metaqore import strict_yaml
from metaqore.errors import SettingsError
from metaqore.llm.batch import Limits
from metaqore.llm.budgets import Price
from metaqore.llm.rules import Offer

#: What answers for a provider under this name is a part of the engine.
RESERVED = "specialist"

Words = Annotated[tuple[Annotated[str, msgspec.Meta(min_length=1)], ...], msgspec.Meta(min_length=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=600)]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words that speak for a label."""

    label: Annotated[str, msgspec.Meta(min_length=1)]
    words: Words


class Classifier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answers with the label whose words occur most often in the input; the earlier label on a tie."""

    labels: Annotated[tuple[Rule, ...], msgspec.Meta(min_length=1)]
    #: The answer where no word occurs.
    default: str
    #: Regular expression whose first group is the input; otherwise it is what follows the static prefix.
    input: str | None = None


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fails the scenario's n-th use, counted from 1 in each process, and only that one."""

    on_use: Annotated[int, msgspec.Meta(ge=1)]
    kind: Literal["rate_limited", "unavailable", "timeout", "refused"]
    retry_after_s: Annotated[float, msgspec.Meta(ge=0)] | None = None


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a prompt contains ``keyword`` (any case) or matches ``regex``: what the mock provider answers."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    keyword: str | None = None
    regex: str | None = None
    #: Text; ``{{name}}`` is a named group of ``regex``, ``{{input}}`` what follows the static prefix.
    reply: str | None = None
    classifier: Classifier | None = None
    edge: Literal["long", "empty", "malformed_json", "unicode"] | None = None
    fault: Fault | None = None


class ProviderSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One provider. ``class`` and ``region`` are what SecureGateway's residency rules look at."""

    kind: Literal["mock", "openai"]
    reach: Literal["local", "cloud"] = msgspec.field(name="class")
    region: Annotated[str, msgspec.Meta(min_length=1)]
    #: The first is used where a request names none.
    models: Words
    enabled: bool = True
    #: Of an OpenAI-compatible API, with its version: ``https://host/v1``.
    base_url: str | None = None
    #: Name of the environment variable that holds the key. Keys never stand in this file.
    api_key_env: Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    connect_timeout_s: Seconds = 5.0
    #: Longest silence on an open connection.
    read_timeout_s: Seconds = 60.0
    #: Longest time for one whole call.
    total_timeout_s: Seconds = 100.0
    #: Calls in flight at once within a batch.
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    max_response_bytes: Annotated[int, msgspec.Meta(ge=1024)] = 8_388_608
    #: Newer models of some vendors take ``max_completion_tokens`` only.
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    #: What the models refuse to be told and is left out.
    omit: tuple[Literal["temperature", "seed", "stop"], ...] = ()
    #: Model → what it costs. Models of local providers that are not in it cost nothing; others have no known price.
    prices: dict[str, Price] = {}
    scenarios: tuple[Scenario, ...] = ()


class ProvidersFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. The order of ``providers`` is the order in which they are chosen."""

    version: Literal[1]
    batch: Limits
    providers: dict[Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")], ProviderSpec]

    def enabled(self) -> dict[str, ProviderSpec]:
        """Return name → spec of the providers in use, in order."""
        return {name: spec for name, spec in self.providers.items() if spec.enabled}

    def price_list(self) -> dict[tuple[str, str], Price]:
        """Return (provider, model) → price, for every model whose price is known."""
        found = {}
        for name, spec in self.enabled().items():
            free = dict.fromkeys(spec.models, Price(0, 0)) if spec.reach == "local" else {}
            found.update({(name, model): price for model, price in {**free, **spec.prices}.items()})
        return found

    def offers(self) -> list[Offer]:
        """Return what the routing rule chooses from."""
        return [Offer(name, spec.models) for name, spec in self.enabled().items()]


def load(path: Path) -> ProvidersFile:
    """Return the providers of the file.

    Raises:
        SettingsError: the file cannot be read or is not understood; the message says where and what is allowed.
    """
    return parse(strict_yaml.read(path), source=str(path))


@lru_cache(maxsize=8)
def parse(text: str, *, source: str = "providers") -> ProvidersFile:
    """Return the providers of the YAML text. Raises like ``load``."""
    file = strict_yaml.parse(text, ProvidersFile, source=source)
    if not file.enabled():
        raise SettingsError(f"{source}: at `$.providers`: no provider is enabled; enable one")
    if min(file.batch.max_batch_size, file.batch.max_batch_tokens) < 1 or file.batch.max_wait_ms < 0:
        raise SettingsError(f"{source}: at `$.batch`: sizes must be at least 1 and max_wait_ms at least 0")
    if RESERVED in file.providers:
        raise SettingsError(f"{source}: at `$.providers.{RESERVED}`: the name of MetaQore's own specialists: another")
    for name, spec in file.providers.items():
        for problem in _problems(spec):
            raise SettingsError(f"{source}: at `$.providers.{name}`: {problem}")
    return file


def _problems(spec: ProviderSpec) -> list[str]:
    """What types alone cannot say."""
    if spec.kind == "mock":
        wrong = ["base_url and api_key_env belong to kind openai"] if spec.base_url or spec.api_key_env else []
        return wrong + [problem for scenario in spec.scenarios for problem in _scenario_problems(scenario)]
    found = []
    try:
        url = urlsplit(spec.base_url or "")
        usable = url.scheme in ("http", "https") and bool(url.hostname) and not (url.query or url.fragment)
        usable = usable and url.username is None and (url.port is None or url.port > 0)
    except ValueError:
        usable = False
    if not usable:
        found.append(f"base_url {spec.base_url!r}: give http(s)://host[:port]/v1 without user, query or fragment")
    if spec.scenarios:
        found.append("scenarios belong to kind mock")
    if spec.read_timeout_s > spec.total_timeout_s:
        found.append("read_timeout_s must not exceed total_timeout_s")
    return found


def _scenario_problems(scenario: Scenario) -> list[str]:
    found = []
    where = f"scenario {scenario.name!r}: "
    if (scenario.keyword is None) == (scenario.regex is None):
        found.append(where + "give exactly one of keyword and regex")
    if (scenario.reply, scenario.classifier, scenario.edge).count(None) != 2:
        found.append(where + "give exactly one of reply, classifier and edge")
    patterns = [scenario.regex, scenario.classifier.input if scenario.classifier else None]
    for pattern in filter(None, patterns):
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            found.append(where + f"{pattern!r} is not a regular expression: {error}")
            continue
        if pattern is patterns[1] and compiled.groups < 1:
            found.append(where + f"input {pattern!r} needs a group that holds the input")
    return found
