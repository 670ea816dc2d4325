"""The test provider: answers are computed from the prompt by configured scenarios, never by a model.

The same prompt gives the same answer, whatever came before (a ``fault`` counts uses and is the one exception).
Usage is the gateway's estimate (``rules.estimate_tokens``) and marked as such. Nothing waits: there is no latency to
imitate.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence

from metaqore.canonical import content_hash
from metaqore.errors import InvalidInput
from metaqore.llm.assemble import Assembled, assemble
from metaqore.llm.config import Classifier, Fault, ProviderSpec, Scenario
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

_EDGES: Mapping[str, str] = {
    "long": "All work and no play makes a long answer. " * 500,
    "empty": "",
    "malformed_json": '{"label": "fix", "reasons": ["unterminated',
    "unicode": "naïve ｆｕｌｌ‑ｗｉｄｔｈ \u202eright-to-left\u202c zero\u200bwidth 👩‍👩‍👧‍👦 e\u0301 \u0000",
}


class MockProvider:
    """Provider of kind ``mock``; see ``config/providers.yaml`` for its scenarios."""

    def __init__(self, name: str, spec: ProviderSpec) -> None:
        self._name = name
        self._spec = spec
        self._uses: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The name it is configured under."""
        return self._name

    def complete(self, batch: Sequence[GenerateCommand], go_on: GoOn | None = None) -> list[Completion | ProviderError]:
        """Return one answer or error for each command, in order."""
        return [
            self._answer(command) if go_on is None or go_on(index) else stopped(self._name)
            for index, command in enumerate(batch)
        ]

    def _answer(self, command: GenerateCommand) -> Completion | ProviderError:
        try:
            assembled = assemble(command)
        except InvalidInput as error:
            return ProviderRefused(error.message, provider=self._name, reason="invalid_prompt")
        model = command.model or self._spec.models[0]
        if model not in self._spec.models:
            return ProviderRefused(
                f"provider {self._name!r} has no model {model!r}; it has {', '.join(self._spec.models)}",
                provider=self._name,
                reason="model_not_found",
            )
        text = None
        for scenario in self._spec.scenarios:
            found = _fits(scenario, assembled.text)
            if found:
                fault = self._fault(scenario)
                if fault is not None:
                    return _failure(fault, self._name)
                text = _reply(scenario, assembled, found)
                break
        if text is None:
            text = _generic(command, assembled)
        text, finish = _cut(text, command)
        usage = Usage(assembled.prompt_tokens, estimate_tokens(text), cached_tokens=0, estimated=True)
        return Completion(text, usage, self._name, model, finish)

    def _fault(self, scenario: Scenario) -> Fault | None:
        """Count a use; return the fault if it is this use that fails."""
        if scenario.fault is None:
            return None
        with self._lock:
            uses = self._uses[scenario.name] = self._uses.get(scenario.name, 0) + 1
        return scenario.fault if uses == scenario.fault.on_use else None


def _fits(scenario: Scenario, text: str) -> re.Match[str] | None:
    if scenario.regex is not None:
        return re.search(scenario.regex, text)
    return re.search(re.escape(scenario.keyword or ""), text, re.IGNORECASE)


def _reply(scenario: Scenario, assembled: Assembled, found: re.Match[str]) -> str:
    if scenario.edge is not None:
        return _EDGES[scenario.edge]
    if scenario.classifier is not None:
        return classify(scenario.classifier, assembled)
    values = {**found.groupdict(default=""), "input": assembled.suffix}
    return re.sub(r"\{\{(\w+)\}\}", lambda slot: values.get(slot[1], slot[0]), scenario.reply or "")


def classify(classifier: Classifier, assembled: Assembled) -> str:
    """Return the label whose words occur most often in the input (whole words, any case)."""
    text = assembled.suffix
    if classifier.input is not None:
        found = re.search(classifier.input, assembled.text)
        text = (found[1] or "") if found else ""
    words = re.findall(r"\w+", text.casefold())
    counts = [(sum(words.count(word.casefold()) for word in rule.words), rule.label) for rule in classifier.labels]
    best = max(count for count, _ in counts)
    return next(label for count, label in counts if count == best) if best else classifier.default


def _generic(command: GenerateCommand, assembled: Assembled) -> str:
    """An answer that depends on every character of the prompt, and on the seed."""
    digest = content_hash([[[m.role, m.content] for m in assembled.messages], command.seed])
    last = " ".join(assembled.messages[-1].content.split()[:12])
    return f"mock answer {digest.removeprefix('sha256:')[:12]} to: {last}"


def _cut(text: str, command: GenerateCommand) -> tuple[str, str]:
    """Stop at the first stop sequence, then at ``max_tokens`` by the same estimate that usage has."""
    ends = [text.find(stop) for stop in command.stop]
    text = text[: min((end for end in ends if end >= 0), default=len(text))]
    if estimate_tokens(text) <= command.max_tokens:
        return text, "stop"
    return text.encode()[: command.max_tokens * 4].decode(errors="ignore"), "length"


def _failure(fault: Fault, provider: str) -> ProviderError:
    message = f"provider {provider!r}: configured fault {fault.kind!r} on use {fault.on_use}"
    kind = ProviderRefused if fault.kind == "refused" else ProviderUnavailable
    return kind(
        message,
        provider=provider,
        reason=fault.kind,
        retry_after_s=fault.retry_after_s,
        may_have_run=fault.kind == "timeout",
    )
