"""The acts about artifacts: agents edit the same files at the same time, are blocked, and find the way out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from metaqore.cli.demo.agents import Agent, Answer, Unexpected, at_once
from metaqore.cli.demo.edits import Collision, Edits
from metaqore.cli.demo.record import Record, Submission

#: Stay well below the largest body that the API takes.
_BATCH_BYTES, _BATCH_ITEMS = 400_000, 100

ACT_STRICT = "strict"
#: Remedies that lose nothing of anybody.
_GENTLE = frozenset({"rebase", "repeat"})

Say = Callable[[str], None]


def name_of(piece: Edits | Collision) -> str:
    """Return the artifact's name: a file, and where in its history the edits are from."""
    return f"{piece.path} ({piece.origin})"


def declaration(project: str, piece: Edits | Collision, content: str, base_version: int | None) -> dict[str, Any]:
    """Return the body that declares a text of a file."""
    return {
        "project": project, "type": "file", "name": name_of(piece), "content": content, "base_version": base_version,
    }  # fmt: skip


def merge_at_once(agents: Sequence[Agent], project: str, pieces: Sequence[Edits], record: Record, say: Say) -> None:
    """Let several agents edit the same files at the same time where edits are merged if that is clean."""
    act = "adaptive"
    say(f"{len(pieces)} files go in, as one batch")
    ids = _declare_bases(agents[0], project, pieces, record, act)
    queues: list[list[dict[str, Any]]] = [[] for _ in agents]
    for at, piece in enumerate(pieces):
        for nth, edit in enumerate(piece.edits):
            queues[(at + nth) % len(agents)].append(declaration(project, piece, edit, 1))
    say(f"{len(agents)} agents send {sum(map(len, queues))} edits of them at once")
    answers = declare_at_once(agents, queues, act)
    fates = Counter(answer.fate for answer in answers)
    same = sum(agents[0].get(f"/artifacts/{ids[name_of(piece)]}")["content"] == piece.merged for piece in pieces)
    record.facts["merge"] = _example(agents[0], pieces, ids)
    seen = f"{fates['accepted']} accepted as they are, {fates['merged']} merged, {fates['blocked']} blocked"
    record.check("concurrent edits are merged", fates["merged"] > 0 and not fates["blocked"], seen)
    seen = f"{same} of {len(pieces)} files are equal"
    record.check("a merge gives what the history has", same == len(pieces) > 0, seen)


def declare_at_once(agents: Sequence[Agent], queues: Sequence[Sequence[dict[str, Any]]], act: str) -> list[Answer]:
    """Let each agent declare what is in its queue, one after the other, all agents at the same time."""

    def work(agent: Agent, queue: Sequence[dict[str, Any]]) -> list[Answer]:
        return [agent.declare(body, act=act) for body in queue]

    each = at_once([partial(work, agent, queue) for agent, queue in zip(agents, queues, strict=True) if queue])
    return [answer for answers in each for answer in answers]


def block_and_fix(
    agents: Sequence[Agent], project: str, pieces: Sequence[Edits], collisions: Sequence[Collision], record: Record,
    say: Say,
) -> None:  # fmt: skip
    """Let agents be blocked where every conflict blocks, and do what the report says."""
    all_: list[Edits | Collision] = [*pieces, *collisions]
    ids = _declare_bases(agents[0], project, all_, record, ACT_STRICT)
    blocked = fixed = 0
    for at, piece in enumerate(all_):
        pair = agents[at % len(agents)], agents[(at + 1) % len(agents)]
        for agent, body, answer in _send_two(project, piece, pair):
            if answer.fate == "blocked":
                blocked += 1
                say(f"{agent.name} is blocked: {answer.body['detail']}")
                wanted = piece.settled if isinstance(piece, Collision) else str(body["content"])
                fixed += follow(agent, ids[name_of(piece)], body, answer, wanted, record, say)
    seen = f"{blocked} of {len(all_)} late edits were blocked"
    record.check("a conflict blocks in strict mode", blocked == len(all_), seen)
    record.check("following the report gets the fix accepted", fixed == blocked, f"{fixed} of {blocked} were accepted")
    report = agents[0].get(f"/projects/{project}/blocking-report")
    record.check("nothing is left blocked", not report["is_blocked"], f"{report['open']} conflicts are open")


def _send_two(
    project: str, piece: Edits | Collision, pair: Sequence[Agent]
) -> list[tuple[Agent, dict[str, Any], Answer]]:
    """Let two agents send an edit of the same base each: at once, or one after the other where one builds on it."""
    texts = piece.edits[:2] if isinstance(piece, Edits) else (piece.first, piece.second)
    bodies = [declaration(project, piece, text, 1) for text in texts]
    jobs = [partial(agent.declare, body, act=ACT_STRICT) for agent, body in zip(pair, bodies, strict=True)]
    answers = at_once(jobs) if isinstance(piece, Edits) else [job() for job in jobs]
    return list(zip(pair, bodies, answers, strict=True))


def follow(
    agent: Agent, artifact: str, body: Mapping[str, Any], blocked: Answer, wanted: str, record: Record, say: Say
) -> bool:
    """Do what a blocking report offers; return whether the work is in.

    A remedy that loses nothing of anybody is sent as it is. Where there is none, somebody has to do the change again.

    Args:
        wanted: the text that the agent declares where it has to do its change again, on top of the head.
    """
    report = blocked.report
    if "remedies" not in report:
        report = agent.get(report["links"]["remedies"])["blocking_report"]
    steps: list[dict[str, Any]] = []
    told = {"agent": agent.name, "artifact": body["name"], "report": report, "steps": steps}
    record.facts.setdefault("stories", []).append(told)
    for remedy in report["remedies"]:
        if remedy["kind"] in _GENTLE:
            request = remedy["request"]
            answer = agent.submit("artifact.declare", request["url"], request["body"], act=ACT_STRICT,
                                  headers=request["headers"])  # fmt: skip
            _took(steps, remedy["kind"], remedy["what"], answer, agent, say)
            if answer.fate == "accepted":
                return True
    head = agent.get(f"/artifacts/{artifact}")["version"]
    again = {**body, "content": wanted, "base_version": head, "replaces": report["proposal"]}
    answer = agent.declare(again, act=ACT_STRICT)
    _took(steps, "redo", f"Make the change again on top of version {head}.", answer, agent, say)
    if answer.fate == "accepted":
        record.retry_helped()
    return answer.fate == "accepted"


def _took(steps: list[dict[str, Any]], kind: str, what: str, answer: Answer, agent: Agent, say: Say) -> None:
    steps.append({"strategy": kind, "what": what, "status": answer.status})
    say(f"{agent.name} follows the report: {kind} → {answer.fate}")


def _declare_bases(
    agent: Agent, project: str, pieces: Sequence[Edits | Collision], record: Record, act: str
) -> dict[str, str]:
    """Declare the texts that all start from, in batches; return artifact name → id.

    Raises:
        Unexpected: one was not accepted.
    """
    ids: dict[str, str] = {}
    for batch in _batches([declaration(project, piece, piece.base, None) for piece in pieces]):
        began = record.elapsed
        answer = agent.call("POST", "/artifacts/batch", {"items": batch}, wait=20)
        items = answer.body.get("items", []) if isinstance(answer.body, dict) else []
        took = record.elapsed - began
        for body, item in zip(batch, items, strict=False):
            if item["status"] != 201:
                raise Unexpected(f"{body['name']} in a batch: {item}")
            ids[body["name"]] = item["request"]["result"]["artifact"]["id"]
            record.submitted(Submission("artifact.batch", agent.name, act, "accepted", began, took))
        if len(items) != len(batch):
            raise Unexpected(f"POST /artifacts/batch: {answer.status}: {answer.body}")
    return ids


def _batches(bodies: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for body in bodies:
        more = len(body["content"].encode()) * 2
        if batch and (size + more > _BATCH_BYTES or len(batch) == _BATCH_ITEMS):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += more
    if batch:
        yield batch


def _example(agent: Agent, pieces: Sequence[Edits], ids: Mapping[str, str]) -> dict[str, Any]:
    """Return the smallest merge, with who made which version, for the page."""
    piece = min(pieces, key=lambda each: len(each.base))
    versions = agent.get(f"/artifacts/{ids[name_of(piece)]}/versions")["items"]
    return {"piece": piece, "versions": [(row["version"], row["created_by"]) for row in versions]}
