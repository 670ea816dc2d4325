"""Where to cut a comparison of two texts in two: the middle of a shortest edit path, or the best guess at one.

Two walks go from the corners of a box of the edit graph towards each other. For each diagonal (position in ``a`` less
position in ``b``) a walk keeps how far it came with the edits spent so far, and takes one edit more on all diagonals at
a time. The second walk is the first one on both texts reversed, so that there is one of everything here.

Which of several shortest paths is found, and where a search is given up, is as in git's default difference.

Source: E. W. Myers, "An O(ND) Difference Algorithm and Its Variations", Algorithmica 1 (1986), section 4b.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import repeat
from operator import add
from typing import Any, NamedTuple

#: A split is searched for exactly up to this edit cost at least; beyond it, the best guess so far is taken.
LEAST_COST_LIMIT = 256
# From this many equal lines in a row on, a walk that has come far enough is trusted before the cost limit is reached.
_LONG_SNAKE = 20
_FAR_ENOUGH = 4
_UNREACHED = -(1 << 60)
_END_OF_A, _END_OF_B = object(), object()
# Below this many equal lines, comparing one by one is quicker than comparing slices.
_ONE_BY_ONE = 8


class TooMuchEffort(Exception):
    """The texts differ in so many places that comparing them would take longer than it may."""


class Effort:
    """How much may be spent on comparing, in steps of about 0.1 µs; the same for the same texts on any machine.

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


def common_head(a: Sequence[Any], b: Sequence[Any], at_a: int, at_b: int, limit: int) -> int:
    """Return how many elements are equal from ``at_a`` and ``at_b`` on, ``limit`` at most."""
    few = min(limit, _ONE_BY_ONE)
    found = 0
    while found < few and a[at_a + found] == b[at_b + found]:
        found += 1
    if found < few or few == limit:
        return found
    return _galloped(
        lambda done, more: a[at_a + done : at_a + done + more] == b[at_b + done : at_b + done + more], found, limit
    )


def common_tail(a: Sequence[Any], b: Sequence[Any], at_a: int, at_b: int, limit: int) -> int:
    """Return how many elements are equal before ``at_a`` and ``at_b``, ``limit`` at most."""
    few = min(limit, _ONE_BY_ONE)
    found = 0
    while found < few and a[at_a - 1 - found] == b[at_b - 1 - found]:
        found += 1
    if found < few or few == limit:
        return found
    return _galloped(
        lambda done, more: a[at_a - done - more : at_a - done] == b[at_b - done - more : at_b - done], found, limit
    )


def _galloped(equal: Callable[[int, int], bool], found: int, limit: int) -> int:
    """Return how far two sequences are equal, by comparing slices that double.

    Args:
        equal: whether the ``more`` elements after the first ``done`` are equal.
        found: how many are known to be.
    """
    step = _ONE_BY_ONE
    while found < limit:
        step = min(2 * step, limit - found)
        if not equal(found, step):
            break
        found += step
    else:
        return found
    low, high = 0, step - 1
    while low < high:
        middle = (low + high + 1) // 2
        if equal(found + low, middle - low):
            low = middle
        else:
            high = middle - 1
    return found + low


class Split(NamedTuple):
    """Where a box is cut, from its corner, and whether the parts before and after must be searched exactly."""

    at_a: int
    at_b: int
    low_exact: bool
    high_exact: bool


class _Walk:
    """How far one comes from a corner with a number of edits, on each diagonal; -m..n are at 1..n+m+1."""

    __slots__ = ("_a", "_b", "_n", "_zero", "high", "long_snake", "low", "reach")

    def __init__(self, a: Sequence[Hashable], b: Sequence[Hashable], most_cost: int) -> None:
        # A walk may step beyond the box by as many lines as it has edits; nothing is equal there.
        self._a = [*a, *repeat(_END_OF_A, most_cost + 1)]
        self._b = [*b, *repeat(_END_OF_B, most_cost + 1)]
        self._n = len(a)
        self._zero = len(b) + 1
        self.reach = [_UNREACHED] * (len(a) + len(b) + 3)
        self.reach[self._zero] = 0
        self.low = self.high = self._zero
        #: True where the last step met many equal lines in a row.
        self.long_snake = False

    def step(self) -> None:
        """Take one more edit on every diagonal."""
        reach, a, b, zero, extend = self.reach, self._a, self._b, self._zero, self._extended
        self.low += -1 if self.low > 1 else 1
        self.high += 1 if self.high < len(reach) - 2 else -1
        low, high = self.low, self.high
        self.long_snake = False
        reach[low : high + 1 : 2] = [
            i if a[i] is not b[i - k] else extend(i, i - k)
            for k, left, above in zip(
                range(low - zero, high + 1 - zero, 2), reach[low - 1 : high : 2], reach[low + 1 : high + 2 : 2],
                strict=True,
            )
            for i in (left + 1 if left >= above else above,)
        ]  # fmt: skip

    def _extended(self, i: int, j: int) -> int:
        a, b = self._a, self._b
        at = i + 1
        back = i - j
        stop = i + _ONE_BY_ONE
        while at < stop and a[at] is b[at - back]:
            at += 1
        if at == stop:
            at += common_head(a, b, at, at - back, min(len(a) - at, len(b) - at + back))
            self.long_snake = self.long_snake or at - i > _LONG_SNAKE
        return at

    def point(self, place: int) -> tuple[int, int]:
        """Return how far the walk has come on the diagonal at ``place``."""
        return self.reach[place], self.reach[place] - place + self._zero

    def points(self, direction: int) -> Iterator[tuple[int, int]]:
        """Yield the points that the last step came to, from the lowest diagonal up (1) or the highest down (-1)."""
        return map(self.point, range(self.low, self.high + 1, 2)[::direction])

    def good_snake(self, cost: int, direction: int) -> tuple[int, int] | None:
        """Return the end of a long run of equal lines much further on than its cost; the furthest, and first, one."""
        best, found = _FAR_ENOUGH * cost, None
        n, m = self._n, self._zero - 1
        for i, j in self.points(direction):
            far = i + j - abs(i - j)
            inside = _LONG_SNAKE <= i < n and _LONG_SNAKE <= j < m
            if far > best and inside and self._a[i - _LONG_SNAKE : i] == self._b[j - _LONG_SNAKE : j]:
                best, found = far, (i, j)
        return found

    def furthest(self, direction: int) -> tuple[int, int]:
        """Return the point inside the box, of those that the last step came to, that is furthest on; the first one."""
        n, m = self._n, self._zero - 1
        best, found = -1, (0, 0)
        for i, j in self.points(direction):
            beyond = max(i - n, j - m, 0)
            if i + j - 2 * beyond > best:
                best, found = i + j - 2 * beyond, (i - beyond, j - beyond)
        return found


class Splitter:
    """Splits boxes of the edit graph of two texts.

    Args:
        a: one text; equal lines are one object, in both texts.
        b: the other.
        effort: what may be spent; None is no bound.
    """

    def __init__(self, a: Sequence[Hashable], b: Sequence[Hashable], effort: Effort | None) -> None:
        self._a, self._b, self._effort = a, b, effort
        self._cost_limit = max(power_root(len(a) + len(b) + 3), LEAST_COST_LIMIT)

    def split(self, low_a: int, high_a: int, low_b: int, high_b: int, *, exact: bool) -> Split:
        """Return where to cut the box of lines ``low:high`` of both texts.

        It must hold lines of both and neither start nor end with a common line.

        Raises:
            TooMuchEffort: the effort is spent.
        """
        a, b = self._a[low_a:high_a], self._b[low_b:high_b]
        n, m = len(a), len(b)
        most = (n + m + 1) // 2 + 1
        if not exact:
            most = min(most, self._cost_limit)
        ahead, back = _Walk(a, b, most), _Walk(a[::-1], b[::-1], most)
        odd = (n - m) & 1
        cost = 0
        while True:
            cost += 1
            ahead.step()
            met = _met(ahead, back, n, m) if odd else None
            if met is not None:
                return Split(*ahead.point(met), True, True)
            back.step()
            met = None if odd else _met(ahead, back, n, m)
            if met is not None:
                i, j = back.point(n + m + 2 - met)
                return Split(n - i, m - j, True, True)
            if self._effort is not None:
                self._effort.spend(ahead.high - ahead.low + back.high - back.low + 2)
            if not exact and cost > LEAST_COST_LIMIT and (ahead.long_snake or back.long_snake):
                if (point := ahead.good_snake(cost, -1)) is not None:
                    return Split(*point, True, False)
                if (point := back.good_snake(cost, 1)) is not None:
                    return Split(n - point[0], m - point[1], False, True)
            if not exact and cost >= self._cost_limit:
                forth, there = ahead.furthest(-1), back.furthest(1)
                if sum(forth) > sum(there):
                    return Split(*forth, True, False)
                return Split(n - there[0], m - there[1], False, True)


def power_root(n: int) -> int:
    """Return a power of two near the square root of ``n``, at least 1."""
    return 1 << ((n.bit_length() + 1) // 2)


def _met(ahead: _Walk, back: _Walk, n: int, m: int) -> int | None:
    """Return the highest place in ``ahead.reach`` whose diagonal both walks have covered; None where there is none."""
    # Diagonal k of one walk is n - m - k of the other, at ``turned`` less its place.
    turned = n + m + 2
    low, high = max(ahead.low, turned - back.high), min(ahead.high, turned - back.low)
    low += (low - ahead.low) & 1
    high -= (ahead.high - high) & 1
    if low > high:
        return None
    there = back.reach[turned - low : turned - high - 1 : -2]
    covered = list(map(add, ahead.reach[low : high + 1 : 2], there))
    if max(covered) < n:
        return None
    return low + 2 * max(index for index, both in enumerate(covered) if both >= n)
