"""Draws a provenance graph: one SVG that needs nothing else, no script, no style sheet, no font of its own.

The shapes are those of the PROV documents: an entity is an ellipse, an activity a rectangle, an agent a house. The
newest thing stands on the left; arrows lead to what it came from.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from metaqore.audit.layers import Placed, place
from metaqore.audit.provenance import Graph, Node

_WIDTH, _HEIGHT, _ACROSS, _DOWN, _EDGE = 200, 46, 300, 64, 24
_TOP = 74
_CHARS = 27
_FILL: Mapping[str, tuple[str, str]] = {
    "entity": ("#fffbd0", "#9a8700"), "activity": ("#dde6ff", "#3b5bb5"), "agent": ("#ffe3c2", "#b0620a"),
}  # fmt: skip
_STROKE: Mapping[str, tuple[str, str]] = {
    "used": ("#3b5bb5", ""), "wasGeneratedBy": ("#2e7d32", ""), "wasDerivedFrom": ("#9a1f1f", ""),
    "wasAttributedTo": ("#b0620a", "2 4"), "wasAssociatedWith": ("#b0620a", ""), "actedOnBehalfOf": ("#6a1b9a", ""),
    "wasInformedBy": ("#546e7a", "7 4"), "plan": ("#9a8700", "2 4"),
}  # fmt: skip
#: What no XML document may hold (XML 1.0 §2.2).
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Line(NamedTuple):
    """What is drawn between two nodes."""

    relation: str
    source: str
    target: str
    role: str | None


def draw(graph: Graph, title: str) -> str:
    """Return the graph as SVG 1.1; texts are escaped, whole names are in tool tips."""
    drawn = [*_drawn(graph)]
    pairs = [(line.source, line.target) for line in drawn]
    linked = {node for pair in pairs for node in pair}
    nodes = [node for node in graph.nodes.values() if node.id in linked or len(graph.nodes) == 1]
    placed = place([node.id for node in nodes], pairs)
    width = (max(placed.layer.values(), default=0) + 1) * _ACROSS - (_ACROSS - _WIDTH) + 2 * _EDGE
    height = _TOP + (max(placed.offset.values(), default=0) + 1) * _DOWN + _EDGE
    width = max(width, len(_STROKE) * 150 + 2 * _EDGE)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" font-family="Helvetica, Arial, sans-serif" font-size="12">',
        f"<title>{_text(title)}</title>",
        f"<desc>{len(graph.nodes)} nodes, {len(graph.edges)} relations (W3C PROV); newest on the left</desc>",
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
        *_legend(title, graph.truncated),
        *(_arrow(line, placed) for line in drawn),
        *(_node(node, placed) for node in nodes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _drawn(graph: Graph) -> Iterator[_Line]:
    """Yield what is drawn: in place of whoever decides by a plan that plan, and nothing that another line tells."""
    does = {(edge.source, edge.target) for edge in graph.edges if edge.relation == "wasAssociatedWith"}
    made = {(edge.source, edge.target) for edge in graph.edges if edge.relation == "wasGeneratedBy"}
    told = {(entity, agent) for entity, activity in made for doer, agent in does if doer == activity}
    for edge in graph.edges:
        said = dict(edge.attributes)
        decided = said.get("prov:plan") in graph.nodes
        if decided:
            yield _Line("plan", edge.source, said["prov:plan"], said.get("prov:role"))
        attributed = edge.relation == "wasAttributedTo" and (edge.source, edge.target) in told
        if not attributed and not (decided and said.get("prov:role") == "decider"):
            yield _Line(edge.relation, edge.source, edge.target, said.get("prov:role"))


def _legend(title: str, truncated: bool) -> list[str]:
    more = " (truncated: there is more behind what has a broken outline)" if truncated else ""
    parts = [f'<text x="{_EDGE}" y="26" font-size="16" font-weight="bold">{_text(title + more)}</text>']
    for number, (name, (color, dash)) in enumerate(_STROKE.items()):
        x = _EDGE + number * 150
        parts.append(f'<path d="M{x} 48h28" stroke="{color}" stroke-width="2" stroke-dasharray="{dash or "none"}"/>')
        parts.append(f'<text x="{x + 33}" y="52" fill="#333333">{name}</text>')
    return parts


def _middle(placed: Placed, node: str) -> tuple[float, float]:
    return _EDGE + placed.layer[node] * _ACROSS + _WIDTH / 2, _TOP + placed.offset[node] * _DOWN + _HEIGHT / 2


def _arrow(line: _Line, placed: Placed) -> str:
    """Draw an edge through its bends, each step an S so that it leaves and enters level."""
    (x0, y0), (x1, y1) = _middle(placed, line.source), _middle(placed, line.target)
    way = 1 if x1 > x0 else -1
    points = [(x0 + way * _WIDTH / 2, y0)]
    for layer, offset in placed.bends[line.source, line.target]:
        x, y = _EDGE + layer * _ACROSS, _TOP + offset * _DOWN + _HEIGHT / 2
        points += [(x, y), (x + _WIDTH, y)] if way > 0 else [(x + _WIDTH, y), (x, y)]
    points.append((x1 - way * (_WIDTH / 2 + 8), y1))
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for (xa, ya), (xb, yb) in itertools.pairwise(points):
        half = (xa + xb) / 2
        path += f"L{xb:g} {yb:g}" if ya == yb else f"C{half:g} {ya:g} {half:g} {yb:g} {xb:g} {yb:g}"
    color, dash = _STROKE[line.relation]
    tip_x, tip_y = points[-1]
    head = f"M{tip_x:g} {tip_y - 4:g}L{tip_x + way * 8:g} {tip_y:g}L{tip_x:g} {tip_y + 4:g}Z"
    told = line.relation + (f" ({line.role})" if line.role else "")
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<g><title>{_text(told)}</title><path d="{path}" fill="none" stroke="{color}" stroke-width="1.4"{dashed}/>'
        f'<path d="{head}" fill="{color}"/></g>'
    )


def _node(node: Node, placed: Placed) -> str:
    x, y = _middle(placed, node.id)
    fill, stroke = _FILL[node.element]
    broken = ' stroke-dasharray="5 3"' if node.attributes.get("mq:truncated") else ""
    style = f'fill="{fill}" stroke="{stroke}" stroke-width="1.2"{broken}'
    left, top = x - _WIDTH / 2, y - _HEIGHT / 2
    if node.element == "entity":
        shape = f'<ellipse cx="{x:g}" cy="{y:g}" rx="{_WIDTH / 2:g}" ry="{_HEIGHT / 2:g}" {style}/>'
    elif node.element == "activity":
        shape = f'<rect x="{left:g}" y="{top:g}" width="{_WIDTH}" height="{_HEIGHT}" {style}/>'
    else:
        corners = [(left, top + 12), (x, top), (left + _WIDTH, top + 12), (left + _WIDTH, top + _HEIGHT),
                   (left, top + _HEIGHT)]  # fmt: skip
        shape = f'<polygon points="{" ".join(f"{a:g},{b:g}" for a, b in corners)}" {style}/>'
    lines = _lines(node)
    first = y + 4 - 7 * (len(lines) - 1) + (4 if node.element == "agent" else 0)
    texts = "".join(
        f'<text x="{x:g}" y="{first + 14 * number:g}" text-anchor="middle" fill="#111111">{_text(line)}</text>'
        for number, line in enumerate(lines)
    )
    return f"<g id={quoteattr(node.id)}><title>{_text(_tip(node))}</title>{shape}{texts}</g>"


def _lines(node: Node) -> list[str]:
    """Return what stands in the shape, two lines at most, shortened in the middle where both ends tell."""
    lines = node.label.split("\n")[:2]
    return [line if len(line) <= _CHARS else f"{line[: _CHARS - 11]}…{line[-10:]}" for line in lines]


def _tip(node: Node) -> str:
    return "\n".join([node.id, *(f"{name}: {_plain(value)}" for name, value in node.attributes.items())])


def _plain(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_plain, value))
    return str(value["$"]) if isinstance(value, Mapping) else str(value)


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))
