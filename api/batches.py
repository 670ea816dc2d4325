"""Batches: each item is accepted or refused by itself, and all that are accepted go into one commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from flask import Response

from api import answers, errors
from api.blueprint import explain
from api.door import caller, door
from api.idempotency import idempotency
from api.schemas import accept
from api.schemas.psmp import DeclareSchema
from api.stops import Stopped
from api.submit import check_quota, labelled, submission, wait_for
from metaqore.errors import InvalidInput, MetaQoreError, NotFound
from metaqore.messages import Submission


class Batch(msgspec.Struct):
    """A batch taken apart: what is accepted, and the problems of the rest by index."""

    size: int
    wanted: list[Submission]
    problems: dict[int, dict[str, Any]]


def declare(body: Any) -> Response:
    """Accept the sound declarations of a batch, and answer for each item.

    Raises:
        InvalidInput: not a batch, or not one item of it is sound.
    """
    batch = _take_apart(_items(body))
    if not batch.wanted:
        places = [{"pointer": f"/items/{i}", "detail": problem["detail"]} for i, problem in batch.problems.items()]
        raise InvalidInput("not one item can be accepted", errors=places)
    check_quota(caller().organization, "artifact.declare", Counter(asked.project for asked in batch.wanted))
    receipt = door().engine.intake.submit(batch.wanted, idempotency(body))
    waited = wait_for(receipt.ids, fresh=not receipt.replayed)
    items = [*_shown(batch, receipt.ids, waited.documents)]
    open_ = any(item["status"] == 202 for item in items)
    return labelled(answers.body({"items": items}, 202 if open_ else 200), receipt, waited)


def _items(body: Any) -> Sequence[Any]:
    limit = door().settings.max_batch_items
    items = body.get("items") if isinstance(body, dict) and body.keys() == {"items"} else None
    if not isinstance(items, list) or not 1 <= len(items) <= limit:
        place = {"pointer": "/items", "detail": f"1 to {limit} declarations, and nothing beside them"}
        raise InvalidInput(f'a batch is {{"items": […]}} with 1 to {limit} declarations', errors=[place])
    return items


def _take_apart(items: Sequence[Any]) -> Batch:
    declared: dict[int, accept.Declared] = {}
    batch = Batch(len(items), [], {})
    for index, item in enumerate(items):
        try:
            accepted = accept.declaration(item)
            door().engine.psmp.check_type(accepted[1]["type"])
            declared[index] = accepted
        except (msgspec.ValidationError, MetaQoreError) as error:
            batch.problems[index] = _problem(item, error)
    who = caller()
    missing = door().projects.missing(who.organization, {project for project, _ in declared.values()})
    for index, (project, payload) in declared.items():
        if project in missing:
            batch.problems[index] = errors.as_document(NotFound(f"project {project} does not exist"))
        else:
            try:
                batch.wanted.append(submission("artifact.declare", project, payload, who))
            except Stopped as error:
                batch.problems[index] = errors.as_document(error)
    return batch


def _problem(item: Any, error: Exception) -> dict[str, Any]:
    try:
        explain(DeclareSchema, item, error)
    except MetaQoreError as explained:
        return errors.as_document(explained)


def _shown(batch: Batch, ids: Sequence[str], documents: Mapping[str, bytes]) -> Sequence[dict[str, Any]]:
    accepted = iter(ids)
    shown = []
    for index in range(batch.size):
        problem = batch.problems.get(index)
        if problem is not None:
            shown.append({"index": index, "status": problem["status"], "problem": problem})
        else:
            request = next(accepted)
            shown.append(answers.item(index, request, documents.get(request)))
    return shown
