from __future__ import annotations

import ast
import pkgutil
from pathlib import Path

from api import schemas


def test_every_pattern_of_a_body_says_in_words_what_it_wants() -> None:
    silent = []
    for found in pkgutil.iter_modules(schemas.__path__):
        text = (Path(schemas.__path__[0]) / f"{found.name}.py").read_text()
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        silent += [
            f"{found.name}:{call.lineno}"
            for call in calls
            if getattr(call.func, "attr", "") == "Regexp" and "error" not in {each.arg for each in call.keywords}
        ]

    assert silent == []
