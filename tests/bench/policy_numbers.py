"""``python -m tests.bench.policy_numbers [--agt FOLDER]``: decisions a second in process, beside two other engines.

The same question is put to each: may this principal ask for this kind of thing at this label, where n rules each forbid
one principal something? MetaQore's ``decide`` is the whole decision (rules of two layers, routing over three providers,
reasons, duties), ``rules`` is only the finding of the rules that match. casbin answers with its ACL model, Microsoft's
agent-governance-toolkit with its policy evaluator (one condition in each rule: it knows no more).

The toolkit's dependencies exclude ours, so it runs in a process of its own from a folder made by
``pip install --target FOLDER agent-governance-toolkit-core``; without one it is left out and said so.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

SIZES = (1, 100, 10_000)
KIND, LABEL = "llm.generate", "SENSITIVE"
_ROUNDS = 5
_FILE = Path(__file__).parents[2] / "config" / "policies" / "security.yaml"


def measure(ask: Callable[[str], object], names: Sequence[str], *, seconds: float = 0.4) -> dict[str, float]:
    """Return decisions a second of processor time (the median of rounds: whoever else is at work does not count), and
    percentiles of single ones in milliseconds on the clock.
    """
    ask(names[0])
    # As in our processes after they started: no collection looks at what stays for good.
    gc.collect()
    gc.freeze()
    rates, times = [], []
    for _ in range(_ROUNDS):
        began, worked, done = time.perf_counter(), time.thread_time(), 0
        while time.perf_counter() - began < seconds:
            for name in names:
                at = time.perf_counter()
                ask(name)
                times.append(time.perf_counter() - at)
                done += 1
                if done % 64 == 0 and time.perf_counter() - began >= seconds:
                    break
        rates.append(done / (time.thread_time() - worked))
    ordered = sorted(times)
    return {
        "per_s": statistics.median(rates),
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
    }


def principals(size: int) -> list[str]:
    """Return who asks: principals of rules all over the list, in no order."""
    picked = random.Random(7)
    return [f"agent-{picked.randrange(size)}" for _ in range(200)]


def ours(size: int) -> tuple[Callable[[str], object], Callable[[str], object]]:
    """Return the whole decision and the finding of rules, each as a function of who asks."""
    from metaqore.security import assess
    from metaqore.security.facts import Asked, facts_of
    from metaqore.security.layers import stack
    from metaqore.security.model import Label, ProviderStatus
    from metaqore.security.policy import decide
    from metaqore.security.policy_file import load_policies, read_layer

    policies = load_policies(_FILE)
    rules = [
        {"id": f"r{i}", "version": 1, "mode": "enforce", "effect": "deny", "message": "Not you.",
         "when": f'request.principal == "agent-{i}" && request.kind == "{KIND}" && label in ["{LABEL}", "CRITICAL"]'}
        for i in range(size)
    ]  # fmt: skip
    layer = read_layer("organization", "bench", 1, {"rules": rules}, policies, most=size)
    layers = stack([policies.layer, layer])
    providers = {
        "ollama": ProviderStatus(local=True, available=True, region="local"),
        "openai": ProviderStatus(local=False, available=True, region="us"),
        "azure": ProviderStatus(local=False, available=True, region="eu"),
    }
    assessment = dataclasses.replace(assess("Paris is the capital of France."), label=Label[LABEL])

    def whole(name: str) -> object:
        found = decide(
            assessment, policy=policies.default, providers=providers, requested=None,
            asked=Asked(kind=KIND, principal=name), layers=layers,
        )  # fmt: skip
        assert found.rules[0].startswith("r")
        return found

    facts = facts_of(Asked(kind=KIND), assessment, Label[LABEL])

    def rules_only(name: str) -> object:
        facts["request.principal"] = name
        return layer.rules.plain.matching(facts, float("inf"))

    return whole, rules_only


def casbin(size: int) -> Callable[[str], object]:
    """Return casbin's ``enforce`` over as many rules, as a function of who asks."""
    import casbin as engine

    model = engine.Model()
    model.load_model_from_text(
        "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n"
        "[policy_effect]\ne = some(where (p.eft == allow))\n"
        "[matchers]\nm = r.sub == p.sub && r.obj == p.obj && r.act == p.act\n"
    )
    enforcer = engine.Enforcer(model)
    enforcer.enable_auto_save(False)
    enforcer.add_policies([[f"agent-{i}", LABEL, KIND] for i in range(size)])

    def ask(name: str) -> object:
        found = enforcer.enforce(name, LABEL, KIND)
        assert found
        return found

    return ask


def toolkit(size: int) -> Callable[[str], object]:
    """Return agent-governance-toolkit's ``evaluate`` over as many rules, as a function of who asks."""
    from agent_os.policies.evaluator import PolicyEvaluator
    from agent_os.policies.schema import PolicyDocument

    document = PolicyDocument.model_validate(
        {
            "name": "bench",
            "rules": [
                {"name": f"r{i}", "action": "deny", "message": "Not you.",
                 "condition": {"field": "principal", "operator": "eq", "value": f"agent-{i}"}}
                for i in range(size)
            ],
            "defaults": {"action": "allow"},
        }
    )  # fmt: skip
    evaluator = PolicyEvaluator([document])

    def ask(name: str) -> object:
        found = evaluator.evaluate({"principal": name, "kind": KIND, "label": LABEL})
        assert not found.allowed
        return found

    return ask


def _toolkit_numbers(folder: Path | None) -> dict[str, float]:
    if folder is None and importlib.util.find_spec("agent_os") is None:
        print("  agent-governance-toolkit is not here: left out (--agt FOLDER)", flush=True)
        return {}
    environ = {**os.environ, "PYTHONPATH": str(folder)} if folder is not None else dict(os.environ)
    script = str(Path(__file__).resolve())
    done = subprocess.run([sys.executable, script, "--only-agt"], env=environ, capture_output=True, text=True)
    if done.returncode:
        print(f"  agent-governance-toolkit does not run: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return {}
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def numbers(agt: Path | None = None) -> dict[str, float]:
    """Return ``policy_*``: rates, percentiles and ratios, by number of rules."""
    out: dict[str, float] = {}
    for size in SIZES:
        whole, rules = ours(size)
        for name, ask in (("decide", whole), ("rules", rules), ("casbin", casbin(size))):
            for what, value in measure(ask, principals(size)).items():
                out[f"policy_{name}_{size}_{what}"] = value
    out |= _toolkit_numbers(agt)
    for size in SIZES:
        for peer in ("casbin", "agt"):
            if f"policy_{peer}_{size}_per_s" in out:
                ratio = out[f"policy_decide_{size}_per_s"] / out[f"policy_{peer}_{size}_per_s"]
                out[f"policy_ratio_{peer}_{size}"] = ratio
    out["policy_flatness_100_10000"] = out["policy_decide_10000_p50_ms"] / out["policy_decide_100_p50_ms"]
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agt", type=Path, help="folder with agent-governance-toolkit-core")
    parser.add_argument("--only-agt", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_agt:
        found = {
            f"policy_agt_{size}_{what}": value
            for size in SIZES
            for what, value in measure(toolkit(size), principals(size)).items()
        }
        print(json.dumps(found))
        return 0
    for name, value in sorted(numbers(options.agt).items()):
        print(f"{name:34} {value:14.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
