"""flask-smorest's blueprint with strict bodies, problem documents and a scope for every operation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import wraps
from typing import Any, NoReturn

import flask_smorest
import msgspec
from flask import Request
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from api import strict_json
from api.access import SCOPE
from api.door import CALLER, current_request, door
from api.errors import CONTENT_TYPE
from api.schemas.problem import ProblemSchema
from metaqore.errors import InvalidInput, MetaQoreError

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"

_KEY = {"type": "string", "pattern": "^[!#-~]{1,255}$"}
_TAG = {"type": "string", "pattern": '^("[0-9]{1,15}"|\\*)$'}
#: The headers that an operation may take, as they are documented: name → schema, description.
HEADERS: Mapping[str, tuple[Mapping[str, str], str]] = {
    "Prefer": (
        {"type": "string", "pattern": "^wait=[0-9]{1,2}$"},
        "wait=N: answer when the request is finished, after N seconds (at most 60) at the latest",
    ),
    "Idempotency-Key": (
        _KEY,
        "A repeat under the same key gets the first answer; another request under it is 422. Where this installation "
        "demands it, a POST without one is 400",
    ),
    "If-Match": (_TAG, 'The ETag that was read, e.g. "3"; another version is 412'),
    "If-None-Match": ({"type": "string"}, "The ETag that was read; where it still holds, the answer is 304"),
    "Last-Event-ID": (
        {"type": "string", "pattern": "^[0-9]{1,15}$"},
        "The id of the last event that was read; the stream goes on after it",
    ),
}


def read_body(*, max_nodes: int = strict_json.MAX_NODES) -> Any:
    """Return the parsed body of this request.

    Raises:
        Malformed: not JSON, or refused (``strict_json``).
        HTTPException: 413 too large, 415 not JSON or compressed.
    """
    asked = current_request()
    kind = asked.environ.get("CONTENT_TYPE", "")
    if kind != JSON:
        kind = asked.mimetype
    if kind != JSON and not (kind == MERGE_PATCH and asked.method == "PATCH"):
        raise UnsupportedMediaType(f"the body is {kind or 'of no type'}: send it as Content-Type: {JSON}")
    if "HTTP_CONTENT_ENCODING" in asked.environ:
        raise UnsupportedMediaType("compressed bodies are not read: send it without Content-Encoding")
    return strict_json.loads(_data(asked), max_nodes=max_nodes)


def _data(asked: Request) -> bytes:
    source, length = asked.environ["wsgi.input"], asked.environ.get("CONTENT_LENGTH", "")
    limit = asked.max_content_length or 0
    # A chunked body has no length: one byte more than allowed tells that it is too large.
    size = int(length) if length.isdigit() else limit + 1
    data: bytes = _read(asked, source, size) if size <= limit or not length else b""
    if max(size if length else 0, len(data)) > limit:
        raise RequestEntityTooLarge(f"the body is larger than {limit} bytes")
    return data


def _read(asked: Request, source: Any, size: int) -> bytes:
    """Read a body, which holds this thread for as long as its sender likes: nobody gets all threads to hold."""
    who, bodies = asked.environ[CALLER], door().bodies
    if not bodies.take(who):
        raise bodies.refusal(who)
    try:
        data: bytes = source.read(size)
    finally:
        bodies.give_back(who)
    return data


def refuse(messages: Mapping[Any, Any] | list[Any]) -> NoReturn:
    """Raise marshmallow's messages as one error with a JSON pointer for each.

    Raises:
        InvalidInput: always.
    """
    errors = [{"pointer": pointer, "detail": detail} for pointer, detail in places(messages, "")]
    first = errors[0] if errors else {"pointer": "", "detail": "not valid"}
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    raise InvalidInput(f"{first['pointer'] or 'the body'}: {first['detail']}{more}", errors=errors)


def places(messages: Any, at: str) -> Iterator[tuple[str, str]]:
    """Yield (JSON pointer, message) for marshmallow's nested messages."""
    if isinstance(messages, Mapping):
        for name, below in messages.items():
            step = "" if name == "_schema" else "/" + str(name).replace("~", "~0").replace("/", "~1")
            yield from places(below, at + step)
    elif isinstance(messages, list):
        for below in messages:
            yield from places(below, at)
    else:
        yield at, str(messages)


class _Parser(FlaskParser):
    """webargs' parser with strict JSON; unknown names are refused everywhere."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": RAISE, "query": RAISE}  # noqa: RUF012 webargs reads it as it is

    def load_json(self, req: Any, schema: Any) -> Any:
        return read_body()

    def handle_error(
        self, error: ValidationError, req: Any, schema: Any, *, error_status_code: Any, error_headers: Any
    ) -> NoReturn:
        located = error.messages  # {location: messages}
        refuse(next(iter(located.values())) if isinstance(located, dict) else located)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A blueprint whose operations each have an id and a scope."""

    ARGUMENTS_PARSER = _Parser()

    def operation(self, name: str, scope: str, *takes: str) -> Callable[[Any], Any]:
        """Give a method its ``operationId`` and the scope that a key needs for it.

        Args:
            takes: the headers that mean something to it, of ``HEADERS``.
        """
        parameters = [
            {"in": "header", "name": name, "schema": HEADERS[name][0], "description": HEADERS[name][1]}
            for name in takes
        ]

        def decorate(function: Any) -> Any:
            setattr(function, SCOPE, scope)
            if "If-None-Match" in takes and function.__name__ == "get":
                self.alt_response(304, description="Not modified since")(function)
            if "Idempotency-Key" in takes or "If-Match" in takes:
                self.problems(422)(function)
            # Beside those of the query: given to ``doc`` they would take their place.
            function._apidoc = deepcopy(getattr(function, "_apidoc", {}))
            function._apidoc.setdefault("arguments", {}).setdefault("parameters", []).extend(parameters)
            return _documented(function, self.doc(operationId=name, security=[{"apiKey": [scope]}]))

        return decorate

    def hot_body(self, schema: type[Schema], accept: Callable[[Any], Any], *, max_nodes: int) -> Callable[[Any], Any]:
        """Pass the body on as ``accept`` returns it; ``schema`` is the documented contract.

        ``accept`` must agree with ``schema`` (a test holds them against each other) and is much faster. Where it
        refuses, ``schema`` says everything that is wrong, not only the first thing.
        """

        def decorate(function: Any) -> Any:
            @wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                body = read_body(max_nodes=max_nodes)
                try:
                    accepted = accept(body)
                except (msgspec.ValidationError, MetaQoreError) as error:
                    explain(schema, body, error)
                return function(*args, accepted, **kwargs)

            return self.documented_body(schema)(wrapper)

        return decorate

    def documented_body(self, schema: type[Schema]) -> Callable[[Any], Any]:
        """Document a body that the method reads by itself."""

        def decorate(function: Any) -> Any:
            function._apidoc = deepcopy(getattr(function, "_apidoc", {}))
            arguments = function._apidoc.setdefault("arguments", {})
            arguments.setdefault("parameters", []).append({"in": "json", "required": True, "schema": schema})
            return function

        return decorate

    def problems(self, *statuses: int) -> Callable[[Any], Any]:
        """Document which problems an operation answers with, besides the default one."""

        def decorate(function: Any) -> Any:
            for status in statuses:
                self.alt_response(status, schema=ProblemSchema, content_type=CONTENT_TYPE)(function)
            return function

        return decorate

    def alt_response(self, status_code: int, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """Document another answer."""
        document = super().alt_response(status_code, *args, **options)
        return lambda function: _documented(function, document)

    def whole_response(self, status_code: int, schema: type[Schema]) -> Callable[[Any], Any]:
        """Document the answer of a method that returns whole responses."""
        document = super().response(status_code, schema)
        return lambda function: _documented(function, document)


def _documented(function: Any, document: Callable[[Any], Any]) -> Any:
    """Keep what ``document`` says about ``function`` without the call that it would put around it."""
    function._apidoc = document(function)._apidoc
    return function


_PATH = re.compile(r"^(?P<what>.*?)(?: - at (?:`key` in )?`\$(?P<path>[^`]*)`)?$", re.DOTALL)


def explain(schema: type[Schema], body: Any, error: Exception) -> NoReturn:
    """Raise what is wrong with ``body``, by the documented schema; by ``error`` where the schema finds nothing.

    Raises:
        InvalidInput: always.
    """
    try:
        schema().load(body)
    except ValidationError as found:
        refuse(found.messages)
    if isinstance(error, InvalidInput):
        raise error
    match = _PATH.match(str(error))
    what, path = (match["what"], match["path"] or "") if match else (str(error), "")
    pointer = re.sub(r"\[(\d+)\]", r"/\1", path).replace("[...]", "").replace(".", "/")
    raise InvalidInput(f"{pointer or 'the body'}: {what}", errors=[{"pointer": pointer, "detail": what}])
