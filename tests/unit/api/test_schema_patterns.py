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


@pytest.mark.parametrize(
    ("made", "kind"), [(2**63, int), (2**53, int), (-1, int), ("a\0", str), ([2**63, "a"], tuple[int, str])]
)
def test_a_page_token_that_no_list_gave_is_refused_before_the_database_sees_it(made: Any, kind: Any) -> None:
    with pytest.raises(InvalidInput, match="not a token of this list"):
        paging.after(paging.token(made), kind)
