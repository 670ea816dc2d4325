"""The acts about model calls: one task asked again and again by several agents, and one call that must not leave."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Sequence
from functools import partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from metaqore.cli.demo.agents import Agent, Answer, at_once
from metaqore.cli.demo.history import Change
from metaqore.cli.demo.installation import CLOUD
from metaqore.cli.demo.receiver import Listener
from metaqore.cli.demo.record import Record
from metaqore.llm.model import GenerateCommand, Template

#: Calls that are open at the same time, over all agents.
AT_ONCE = 16

Progress = Callable[[int, int], None]


def template_for(source: str) -> Template:
    """Return the prompt of the repeated task; each source of changes has its own, so that none learns of another."""
    return Template(
        id=f"change-type/{source}",
        system="You sort changes of software by their maintenance type. Answer with one word.",
        text="Which maintenance type has this change?\n\n{{change}}",
    )


def command_for(template: Template, change: Change, *, specialist: bool | None = None) -> GenerateCommand:
    """Return the model call about one change."""
    return GenerateCommand(
        template=template, variables={"change": change.message}, max_tokens=16, specialist=specialist
    )  # fmt: skip


def ask(
    agents: Sequence[Agent], template: Template, changes: Sequence[Change], progress: Progress, *,
    specialist: bool | None = None,
) -> list[Answer]:  # fmt: skip
    """Ask about each change, the oldest first, several at once; return the answers in the order of the changes.

    Args:
        specialist: False for the teacher alone.
    """
    answers: dict[int, Answer] = {}
    rest = iter(enumerate(changes))
    guard = threading.Lock()

    def work(agent: Agent) -> None:
        while True:
            with guard:
                at, change = next(rest, (-1, None))
            if change is None:
                return
            body = command_for(template, change, specialist=specialist).to_json()
            answers[at] = agent.submit("llm.generate", "/llm/generate", body, act="calls")
            progress(len(answers), len(changes))

    at_once([partial(work, agents[nth % len(agents)]) for nth in range(AT_ONCE)])
    return [answers[at] for at in range(len(changes))]


def try_to_leak(agent: Agent, cloud: Listener, record: Record) -> Answer:
    """Send a call with a private key in it to a cloud provider, and see that nothing leaves."""
    before = cloud.connections
    body = {"prompt": f"Why does this deploy key not work?\n\n{_secret()}", "provider": CLOUD}
    answer = agent.submit("llm.generate", "/llm/generate", body, act="veto")
    left = cloud.connections - before
    decision = answer.body.get("decision") or {}
    decision = decision.get("decision", decision)
    record.facts["veto"] = {"reasons": decision.get("reasons", []), "label": decision.get("label"), "connections": left}
    seen = f"{answer.fate}; label {decision.get('label')}: {'; '.join(decision.get('reasons', []))}"
    record.check("a secret on its way to the cloud is vetoed", answer.fate == "vetoed", seen)
    record.check("nothing of it leaves", left == 0, f"{left} connections to the address of {CLOUD}")
    return answer


def _secret() -> str:
    """Return a private key in PEM that was made this moment and opens nothing."""
    seed = Ed25519PrivateKey.generate().private_bytes_raw()
    # RFC 8410, section 7: the fixed head of an Ed25519 key in PKCS #8.
    der = bytes.fromhex("302e020100300506032b657004220420") + seed
    return f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(der).decode()}\n-----END PRIVATE KEY-----"
