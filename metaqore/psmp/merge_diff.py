"""Line differences for the three-way merge: which runs of lines of one text became which of another.

The answer has to be the one that ``git merge-file`` would find, not merely a correct one: where a text
repeats its lines there are many shortest differences, and two of them can make the same merge clean or
conflicting. So the four steps here follow the behaviour of git's default ("myers") difference:

1. lines common to the head and to the tail of both texts are set aside;
2. lines that occur only on one side, and very frequent lines among such, are marked as changed at once;
3. what is left is compared by the linear-space algorithm of Myers, with git's bound on the effort spent
   on one split, which keeps the worst case far from quadratic;
4. each run of changed lines is moved to where it belongs: down as far as it can go, or level with a change
   of the other side.

Texts come as sequences of integers, one per line, equal where the lines are equal.

Sources: E. W. Myers, "An O(ND) Difference Algorithm and Its Variations", Algorithmica 1 (1986), section 4b;
git-diff(1) and git-merge-file(1).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import accumulate, repeat

from metaqore.psmp.merge_split import Effort, Splitter, common_head, common_tail, power_root

#: ``(start in a, lines of a, start in b, lines of b)``: that run of ``a`` became that run of ``b``.
Hunk = tuple[int, int, int, int]

#: A run of changed lines of one text: ``(unchanged lines before it, its length)``.
Run = tuple[int, int]

# A line occurs only here; or there, too; or there so often that a match says little.
_LONE, _SHARED, _FREQUENT = 0, 1, 2
_IS_LONE = bytes([1]) + bytes(255)
_FREQUENT_WINDOW = 100
_FREQUENT_SHARE = 4
# A frequent line goes where the lone ones around it are more than three times as many; it counts twice itself.
_LEAST_LONE = 2 * (_FREQUENT_SHARE - 1) + 1


def line_hunks(a: Sequence[Hashable], b: Sequence[Hashable], effort: Effort | None = None) -> list[Hunk]:
    """Return the changed runs between two texts, in order; empty where the texts are equal.

    Args:
        a: the older text, one integer per line.
        b: the newer text, numbered alike.
        effort: what may be spent; None is no bound.

    Raises:
        TooMuchEffort: it is spent.
    """
    head = common_head(a, b, 0, 0, min(len(a), len(b)))
    tail = common_tail(a, b, len(a), len(b), min(len(a), len(b)) - head)
    kept_a, kept_b = _comparable(a, b, head, tail)
    changed_a, changed_b = changed_lines([a[i] for i in kept_a], [b[j] for j in kept_b], effort)
    same_a = [i for i, changed in zip(kept_a, changed_a, strict=False) if not changed]
    same_b = [j for j, changed in zip(kept_b, changed_b, strict=False) if not changed]
    runs_a = _runs(same_a, head, len(a) - tail)
    runs_b = _runs(same_b, head, len(b) - tail)
    runs_a = settle(a, runs_a, {gap for gap, _ in runs_b})
    runs_b = settle(b, runs_b, {gap for gap, _ in runs_a})
    return _paired(runs_a, runs_b)


def _comparable(a: Sequence[Hashable], b: Sequence[Hashable], head: int, tail: int) -> tuple[list[int], list[int]]:
    """Return the positions between head and tail, in ``a`` and in ``b``, that are worth comparing."""
    ends = head, len(a) - tail, len(b) - tail
    if ends[0] == ends[1] or ends[0] == ends[2]:
        return [], []
    return _with_partner(a, Counter(b), head, ends[1]), _with_partner(b, Counter(a), head, ends[2])


def _with_partner(lines: Sequence[Hashable], others: Mapping[Hashable, int], start: int, end: int) -> list[int]:
    """Return the positions of lines that occur in the other text, less the frequent ones amid lone ones."""
    frequent_from = power_root(len(lines))
    kind_of = {line: _FREQUENT if times >= frequent_from else _SHARED for line, times in others.items()}
    kinds = bytes(map(kind_of.get, lines[start:end], repeat(_LONE)))
    kept = [i for i, kind in enumerate(kinds, start) if kind]
    if _FREQUENT not in kinds or kinds.count(_LONE) < _LEAST_LONE:
        return kept
    gone = _amid_lone_lines(kinds)
    return [i for i in kept if i - start not in gone] if gone else kept


def _amid_lone_lines(kinds: bytes) -> set[int]:
    """Return the places of frequent lines in a neighbourhood made up of more than 3/4 of lone lines.

    The neighbourhood reaches 100 lines to both sides, and only as far as the next line that is neither.
    """
    lone_before = [0, *accumulate(kinds.translate(_IS_LONE))]
    gone: set[int] = set()
    start = 0
    while start < len(kinds):
        end = kinds.find(_SHARED, start)
        end = len(kinds) if end < 0 else end
        if lone_before[end] - lone_before[start] >= _LEAST_LONE:
            gone.update(
                at for at in _near_lone_lines(kinds, start, end)
                if kinds[at] == _FREQUENT and _is_amid(lone_before, at, start, end)
            )  # fmt: skip
        start = end + 1
    return gone


def _near_lone_lines(kinds: bytes, start: int, end: int) -> Iterator[int]:
    """Yield the places in ``start:end`` that have so many lone lines around them that they may have to go."""
    lone = [at for at in range(start, end) if kinds[at] == _LONE]
    reached = start
    for first, last in zip(lone, lone[_LEAST_LONE - 1 :], strict=False):
        stop = min(first + _FREQUENT_WINDOW + 1, end)
        yield from range(max(reached, last - _FREQUENT_WINDOW), stop)
        reached = max(reached, stop)


def _is_amid(lone_before: Sequence[int], at: int, start: int, end: int) -> bool:
    low, high = max(at - _FREQUENT_WINDOW, start), min(at + _FREQUENT_WINDOW + 1, end)
    before, after = lone_before[at] - lone_before[low], lone_before[high] - lone_before[at]
    # The line itself counts on both sides.
    frequent = high - low - before - after + 1
    return bool(before and after) and frequent * (_FREQUENT_SHARE - 1) < before + after


def changed_lines(
    a: Sequence[Hashable], b: Sequence[Hashable], effort: Effort | None = None
) -> tuple[bytearray, bytearray]:
    """Return, for each line of ``a`` and of ``b``, 1 where it is changed and 0 where it has its match.

    The pair of texts is cut in two at the middle of a shortest edit path, and each half again, so that
    memory stays linear. A half left over from a path that was given up need not be shortest.
    """
    changed_a, changed_b = bytearray(len(a)), bytearray(len(b))
    one: dict[Hashable, Hashable] = {}
    a, b = list(map(one.setdefault, a, a)), list(map(one.setdefault, b, b))
    splitter = Splitter(a, b, effort)
    todo = [(0, len(a), 0, len(b), False)]
    while todo:
        low_a, high_a, low_b, high_b, exact = todo.pop()
        head = common_head(a, b, low_a, low_b, min(high_a - low_a, high_b - low_b))
        low_a, low_b = low_a + head, low_b + head
        tail = common_tail(a, b, high_a, high_b, min(high_a - low_a, high_b - low_b))
        high_a, high_b = high_a - tail, high_b - tail
        if low_a == high_a:
            changed_b[low_b:high_b] = b"\1" * (high_b - low_b)
        elif low_b == high_b:
            changed_a[low_a:high_a] = b"\1" * (high_a - low_a)
        else:
            cut = splitter.split(low_a, high_a, low_b, high_b, exact=exact)
            at_a, at_b = low_a + cut.at_a, low_b + cut.at_b
            todo.append((low_a, at_a, low_b, at_b, cut.low_exact))
            todo.append((at_a, high_a, at_b, high_b, cut.high_exact))
    return changed_a, changed_b


def _runs(same: Sequence[int], start: int, end: int) -> list[Run]:
    """Return the runs between the unchanged positions ``same``, all of them in ``start:end``."""
    runs = []
    expected = start
    for unchanged, position in enumerate(same, start):
        if position > expected:
            runs.append((unchanged, position - expected))
        expected = position + 1
    if end > expected:
        runs.append((start + len(same), end - expected))
    return runs


def settle(lines: Sequence[Hashable], runs: Sequence[Run], other_gaps: set[int]) -> list[Run]:
    """Move each run of changed lines to the place that git would show it at.

    A run may move past an unchanged line where the same lines would result. It goes as far down as it can;
    but where on its way there is a change of the other text, level with the lowest one. Runs that meet
    become one.

    Args:
        lines: the text that the runs are of.
        runs: its runs, in order.
        other_gaps: where the other text has changes, as numbers of unchanged lines before them.
    """
    settled: list[Run] = []
    before = 0  # changed lines in ``settled``
    waiting = list(reversed(runs))
    levels = sorted(other_gaps)
    while waiting:
        gap, size = waiting.pop()
        size_then = -1
        while size != size_then:
            size_then = size
            room = gap - (settled[-1][0] if settled else 0)
            while moved := common_tail(lines, lines, gap + before, gap + before + size, room):
                gap -= moved
                if settled and settled[-1][0] == gap:
                    size += settled[-1][1]
                    before -= settled.pop()[1]
                room = gap - (settled[-1][0] if settled else 0)
            highest = gap
            last = len(lines) - before
            room = min(waiting[-1][0] if waiting else last, last - size) - gap
            while moved := common_head(lines, lines, gap + before, gap + before + size, room):
                gap += moved
                if waiting and waiting[-1][0] == gap:
                    size += waiting.pop()[1]
                room = min(waiting[-1][0] if waiting else last, last - size) - gap
        # The lowest change of the other text on the way.
        level = bisect_right(levels, gap) - 1
        if level >= 0 and highest <= levels[level]:
            gap = levels[level]
        settled.append((gap, size))
        before += size
    return settled


def _paired(runs_a: Sequence[Run], runs_b: Sequence[Run]) -> list[Hunk]:
    """Join what was taken out of ``a`` and put into ``b`` between the same unchanged lines."""
    taken, put = dict(runs_a), dict(runs_b)
    hunks = []
    before_a = before_b = 0
    for gap in sorted(taken.keys() | put.keys()):
        out, new = taken.get(gap, 0), put.get(gap, 0)
        hunks.append((gap + before_a, out, gap + before_b, new))
        before_a += out
        before_b += new
    return hunks
