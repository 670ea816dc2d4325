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

from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import repeat

#: ``(start in a, lines of a, start in b, lines of b)``: that run of ``a`` became that run of ``b``.
Hunk = tuple[int, int, int, int]

#: A run of changed lines of one text: ``(unchanged lines before it, its length)``.
Run = tuple[int, int]

#: Lines ``low:high`` of ``a`` against lines ``low:high`` of ``b``: ``(low a, high a, low b, high b)``.
Box = tuple[int, int, int, int]

# A split is searched for exactly up to this edit cost at least; beyond it, the best guess so far is taken.
_LEAST_COST_LIMIT = 256
_FREQUENT_WINDOW = 100
_FREQUENT_SHARE = 4
_UNREACHED = 1 << 60


class TooMuchEffort(Exception):
    """The texts differ in so many places that comparing them would take longer than it may."""


class Effort:
    """How much may be spent on comparing, in steps of about 0.15 µs; the same for the same texts on any machine.

    Args:
        steps: the most, over all comparisons that it is given to.
    """

    __slots__ = ("_left",)

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        """Count steps.

        Raises:
            TooMuchEffort: there are none left.
        """
        self._left -= steps
        if self._left < 0:
            raise TooMuchEffort


def line_hunks(a: Sequence[Hashable], b: Sequence[Hashable], effort: Effort | None = None) -> list[Hunk]:
    """Return the changed runs between two texts, in order; empty where the texts are equal.

    Args:
        a: the older text, one integer per line.
        b: the newer text, numbered alike.
        effort: what may be spent; None is no bound.

    Raises:
        TooMuchEffort: it is spent.
    """
    head, tail = _common_ends(a, b)
    kept_a, kept_b = _comparable(a, b, head, tail)
    changed_a, changed_b = changed_lines([a[i] for i in kept_a], [b[j] for j in kept_b], effort)
    same_a = [i for i, changed in zip(kept_a, changed_a, strict=False) if not changed]
    same_b = [j for j, changed in zip(kept_b, changed_b, strict=False) if not changed]
    runs_a = _runs(same_a, head, len(a) - tail)
    runs_b = _runs(same_b, head, len(b) - tail)
    runs_a = settle(a, runs_a, {gap for gap, _ in runs_b})
    runs_b = settle(b, runs_b, {gap for gap, _ in runs_a})
    return _paired(runs_a, runs_b)


def _common_ends(a: Sequence[Hashable], b: Sequence[Hashable]) -> tuple[int, int]:
    """Return how many lines the head and the tail of both texts have in common, without overlap."""
    limit = min(len(a), len(b))
    head = 0
    while head < limit and a[head] == b[head]:
        head += 1
    limit -= head
    tail = 0
    while tail < limit and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    return head, tail


def _comparable(a: Sequence[Hashable], b: Sequence[Hashable], head: int, tail: int) -> tuple[list[int], list[int]]:
    """Return the positions between head and tail, in ``a`` and in ``b``, that are worth comparing."""
    ends = head, len(a) - tail, len(b) - tail
    if ends[0] == ends[1] or ends[0] == ends[2]:
        return [], []
    return _with_partner(a, Counter(b), head, ends[1]), _with_partner(b, Counter(a), head, ends[2])


def _with_partner(lines: Sequence[Hashable], others: dict[Hashable, int], start: int, end: int) -> list[int]:
    """Return the positions of lines that occur in the other text, less the frequent ones amid lone ones."""
    frequent_from = _power_root(len(lines))
    # 0: occurs only here. 1: occurs there. 2: occurs there so often that a match says little.
    kinds = bytearray(
        0 if not times else 2 if times >= frequent_from else 1 for times in map(others.get, lines[start:end], repeat(0))
    )
    kept = [i for i, kind in enumerate(kinds, start) if kind]
    if 2 not in kinds or 0 not in kinds:
        return kept
    return [i for i in kept if kinds[i - start] == 1 or not _amid_lone_lines(kinds, i - start)]


def _amid_lone_lines(kinds: bytearray, at: int) -> bool:
    """True where the frequent line ``at`` stands in a run made up of more than 3/4 of lone lines."""
    start, end = max(at - _FREQUENT_WINDOW, 0), min(at + _FREQUENT_WINDOW + 1, len(kinds))
    # Only as far as the next line of another kind.
    start = max(kinds.rfind(1, start, at) + 1, start)
    other = kinds.find(1, at, end)
    end = end if other < 0 else other
    lone_before, lone_after = kinds.count(0, start, at), kinds.count(0, at, end)
    if not (lone_before and lone_after):
        return False
    lone = lone_before + lone_after
    # The line itself counts on both sides.
    frequent = end - start - lone + 1
    return frequent * _FREQUENT_SHARE < frequent + lone


def _power_root(n: int) -> int:
    """Return a power of two near the square root of ``n``, at least 1."""
    return 1 << ((n.bit_length() + 1) // 2)


def changed_lines(
    a: Sequence[Hashable], b: Sequence[Hashable], effort: Effort | None = None
) -> tuple[bytearray, bytearray]:
    """Return, for each line of ``a`` and of ``b``, 1 where it is changed and 0 where it has its match.

    The pair of texts is cut in two at the middle of a shortest edit path, and each half again, so that
    memory stays linear. A half left over from a path that was given up need not be shortest.
    """
    changed_a, changed_b = bytearray(len(a)), bytearray(len(b))
    splitter = _Splitter(a, b, effort)
    todo = [(0, len(a), 0, len(b), False)]
    while todo:
        low_a, high_a, low_b, high_b, exact = todo.pop()
        while low_a < high_a and low_b < high_b and a[low_a] == b[low_b]:
            low_a += 1
            low_b += 1
        while low_a < high_a and low_b < high_b and a[high_a - 1] == b[high_b - 1]:
            high_a -= 1
            high_b -= 1
        if low_a == high_a:
            changed_b[low_b:high_b] = b"\1" * (high_b - low_b)
        elif low_b == high_b:
            changed_a[low_a:high_a] = b"\1" * (high_a - low_a)
        else:
            at_a, at_b, low_exact, high_exact = splitter.split((low_a, high_a, low_b, high_b), exact)
            todo.append((low_a, at_a, low_b, at_b, low_exact))
            todo.append((at_a, high_a, at_b, high_b, high_exact))
    return changed_a, changed_b


class _Splitter:
    """Finds a point on a shortest edit path by walking from both corners of a box until the walks meet.

    A walk keeps, per diagonal, the furthest position in ``a`` that it reached. The diagonal of a point is its
    position in ``a`` less its position in ``b``, plus a shift that makes it a list index.
    """

    def __init__(self, a: Sequence[Hashable], b: Sequence[Hashable], effort: Effort | None) -> None:
        self._a, self._b, self._effort = a, b, effort
        diagonals = len(a) + len(b) + 3
        self._cost_limit = max(_power_root(diagonals), _LEAST_COST_LIMIT)
        self._shift = len(b) + 1
        self._forward = [0] * diagonals
        self._backward = [0] * diagonals

    def split(self, box: Box, exact: bool) -> tuple[int, int, bool, bool]:
        """Return the point, and for the parts before and after it whether they must be searched exactly.

        The box must hold lines of both texts and neither start nor end with a common line.
        """
        low_a, high_a, low_b, high_b = box
        least, most = low_a - high_b + self._shift, high_a - low_b + self._shift
        f_min = f_max = low_a - low_b + self._shift
        b_min = b_max = high_a - high_b + self._shift
        self._forward[f_min], self._backward[b_min] = low_a, high_a
        odd = (f_min - b_min) & 1
        nowhere = (1, 0)
        cost = 0
        while True:
            cost += 1
            f_min, f_max = _widened(self._forward, f_min, f_max, least, most, -1)
            met = self._step_forward(high_a, high_b, (f_min, f_max), (b_min, b_max) if odd else nowhere)
            if met is None:
                b_min, b_max = _widened(self._backward, b_min, b_max, least, most, _UNREACHED)
                met = self._step_backward(low_a, low_b, (b_min, b_max), nowhere if odd else (f_min, f_max))
            if self._effort is not None:
                self._effort.spend(f_max - f_min + b_max - b_min + 2)
            if met is not None:
                return *met, True, True
            if cost >= self._cost_limit and not exact:
                return self._best_guess(box, (f_min, f_max), (b_min, b_max))

    def _step_forward(self, high_a: int, high_b: int, reach: Run, other: Run) -> tuple[int, int] | None:
        """Take one more edit on every diagonal in reach; return where the other walk was met, if it was."""
        a, b, shift, forward, backward = self._a, self._b, self._shift, self._forward, self._backward
        b_min, b_max = other
        above = forward[reach[1] + 1]
        for k in range(reach[1], reach[0] - 1, -2):
            below = forward[k - 1]
            i = below + 1 if below >= above else above
            above = below
            j = i - k + shift
            while i < high_a and j < high_b and a[i] == b[j]:
                i += 1
                j += 1
            forward[k] = i
            if b_min <= k <= b_max and backward[k] <= i:
                return i, j
        return None

    def _step_backward(self, low_a: int, low_b: int, reach: Run, other: Run) -> tuple[int, int] | None:
        """As ``_step_forward``, from the other corner."""
        a, b, shift, forward, backward = self._a, self._b, self._shift, self._forward, self._backward
        f_min, f_max = other
        above = backward[reach[1] + 1]
        for k in range(reach[1], reach[0] - 1, -2):
            below = backward[k - 1]
            i = below if below < above else above - 1
            above = below
            j = i - k + shift
            while i > low_a and j > low_b and a[i - 1] == b[j - 1]:
                i -= 1
                j -= 1
            backward[k] = i
            if f_min <= k <= f_max and i <= forward[k]:
                return i, j
        return None

    def _best_guess(self, box: Box, f_reach: Run, b_reach: Run) -> tuple[int, int, bool, bool]:
        """Return the point that either walk brought furthest; only the part already walked is exact."""
        low_a, high_a, low_b, high_b = box
        shift = self._shift
        furthest, f_at = -1, -1
        for k in range(f_reach[1], f_reach[0] - 1, -2):
            i = min(self._forward[k], high_a, high_b + k - shift)
            if furthest < 2 * i - k + shift:
                furthest, f_at = 2 * i - k + shift, i
        nearest, b_at = _UNREACHED, _UNREACHED
        for k in range(b_reach[1], b_reach[0] - 1, -2):
            i = max(self._backward[k], low_a, low_b + k - shift)
            if 2 * i - k + shift < nearest:
                nearest, b_at = 2 * i - k + shift, i
        if high_a + high_b - nearest < furthest - low_a - low_b:
            return f_at, furthest - f_at, True, False
        return b_at, nearest - b_at, False, True


def _widened(walk: list[int], low: int, high: int, least: int, most: int, unreached: int) -> Run:
    """Let a walk reach one diagonal further on each side, or one less where the box ends."""
    if low > least:
        low -= 1
        walk[low - 1] = unreached
    else:
        low += 1
    if high < most:
        high += 1
        walk[high + 1] = unreached
    else:
        high -= 1
    return low, high


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
    while waiting:
        gap, size = waiting.pop()
        size_then = -1
        while size != size_then:
            size_then = size
            while gap and lines[gap + before - 1] == lines[gap + before + size - 1]:
                gap -= 1
                if settled and settled[-1][0] == gap:
                    size += settled[-1][1]
                    before -= settled.pop()[1]
            highest = gap
            level = gap if gap in other_gaps else -1
            while gap + before + size < len(lines) and lines[gap + before] == lines[gap + before + size]:
                gap += 1
                if waiting and waiting[-1][0] == gap:
                    size += waiting.pop()[1]
                if gap in other_gaps:
                    level = gap
        if gap != highest and level >= 0:
            gap = level
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
