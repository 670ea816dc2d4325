"""What a git history holds: changes with their messages, concurrent edits, and edits that collided.

Everything is read with plumbing commands that run no program of the repository's own and ask nobody anything.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from metaqore.cli.demo.edits import Collision, Edits, Versions, split
from metaqore.errors import MetaQoreError
from metaqore.psmp.merge import merge_text

#: How much of a history is looked at: the latest commits, and the latest merges among them.
MAX_COMMITS = 1500
MAX_MERGES = 40
#: Files beyond this are left out: a demonstration is no benchmark of merging.
MAX_BYTES = 48_000
#: Versions of one file, and files, that are taken apart.
MAX_VERSIONS = 9
MAX_FILES = 60
_TIMEOUT_S = 20
_NONE = "0" * 40


class NoHistory(MetaQoreError):
    """There is no git history to be had here; the message says why."""

    code = "no_history"


@dataclass(frozen=True, slots=True)
class Change:
    """One file in one commit: what the repeated task is about."""

    subject: str
    path: str
    added: int
    removed: int

    @property
    def message(self) -> str:
        """The change as it is put before a model."""
        return f"{self.subject}\n{self.path}\n+{self.added} -{self.removed}"


@dataclass(frozen=True)
class History:
    """What was found, oldest first. ``source`` says where."""

    source: str
    commits: int
    changes: list[Change]
    edits: list[Edits] = field(default_factory=list)
    collisions: list[Collision] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Commit:
    name: str
    subject: str
    #: path → (blob before, blob after)
    blobs: dict[str, tuple[str, str]]
    #: path → (lines added, lines removed)
    sizes: dict[str, tuple[int, int]]


def mine(folder: Path) -> History:
    """Return what the repository that holds ``folder`` tells.

    Raises:
        NoHistory: no git, no repository, none that git reads, or no commit.
    """
    git = _Git(folder)
    top = Path(git.text("rev-parse", "--show-toplevel").strip())
    commits = list(_commits(git))
    if not commits:
        raise NoHistory(f"{top} has no commit that changes a file")
    changes = [Change(commit.subject, path, *size) for commit in commits for path, size in commit.sizes.items() if path]
    edits, collisions = _merges(git)
    more_edits, more_collisions = _successive(git, commits)
    return History(
        source=f"git history of {top}", commits=len(commits), changes=changes,
        edits=[*edits, *more_edits], collisions=[*collisions, *more_collisions],
    )  # fmt: skip


class _Git:
    def __init__(self, folder: Path) -> None:
        program = shutil.which("git")
        if program is None:
            raise NoHistory("git is not installed")
        self._command = [program, "-C", str(folder), "--no-pager", "-c", "core.quotePath=false"]
        # A variable that names another repository, as hooks have them, must not lead away from the folder.
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self._environ |= {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "LC_ALL": "C",
        }

    def bytes(self, *arguments: str, given: bytes = b"") -> bytes:
        """Run git and return what it printed.

        Raises:
            NoHistory: it failed, with its own words.
        """
        try:
            done = subprocess.run(
                [*self._command, *arguments], input=given, capture_output=True, env=self._environ, check=True,
                timeout=_TIMEOUT_S,
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {error.returncode}"]
            # Where git knows a way out, it ends with the command.
            way_out = f" ({said[-1].strip()})" if said[-1].strip().startswith("git ") else ""
            raise NoHistory(f"git {arguments[0]}: {said[0]}{way_out}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoHistory(f"git {arguments[0]}: {error}") from error
        return done.stdout

    def text(self, *arguments: str) -> str:
        """Like ``bytes``, decoded."""
        return self.bytes(*arguments).decode("utf-8", "replace")

    def blobs(self, names: Iterable[str]) -> dict[str, str]:
        """Return blob name → text of those that are text and not too large."""
        wanted = sorted(set(names) - {_NONE})
        sizes = self.bytes("cat-file", "--batch-check=%(objecttype) %(objectsize)", given=_lines(wanted)).splitlines()
        small = [
            name for name, answer in zip(wanted, sizes, strict=True)
            if answer.startswith(b"blob ") and int(answer[5:]) <= MAX_BYTES
        ]  # fmt: skip
        answers = self.bytes("cat-file", "--batch", given=_lines(small))
        return dict(_texts(small, answers))


def _lines(names: Sequence[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def _texts(names: Sequence[str], answers: bytes) -> Iterator[tuple[str, str]]:
    """Take the answers of ``cat-file --batch`` apart: a header line, the content, a line end."""
    at = 0
    for name in names:
        head = answers.index(b"\n", at)
        size = int(answers[at:head].rpartition(b" ")[2])
        content = answers[head + 1 : head + 1 + size]
        at = head + 2 + size
        if content and b"\0" not in content:
            try:
                yield name, content.decode("utf-8")
            except UnicodeDecodeError:
                continue


def _commits(git: _Git) -> Iterator[_Commit]:
    """Yield the latest commits that are no merges, oldest first."""
    shown = git.text(
        "log", "--no-merges", f"--max-count={MAX_COMMITS}", "--no-renames", "--no-ext-diff", "--no-textconv",
        "--no-show-signature", "--no-abbrev", "--raw", "--numstat", "-z", "--format=%x01%H %s",
    )  # fmt: skip
    yield from reversed([commit for commit in _parsed(shown.split("\0")) if commit.sizes])


def _parsed(tokens: Sequence[str]) -> Iterator[_Commit]:
    commit: _Commit | None = None
    rest = iter(tokens)
    for token in (each.lstrip("\n") for each in rest):
        if token.startswith("\x01"):
            if commit is not None:
                yield commit
            name, _, subject = token[1:].partition(" ")
            commit = _Commit(name, subject.strip(), {}, {})
        elif commit is not None and token.startswith(":"):
            before, after = token.split(" ")[2:4]
            commit.blobs[next(rest)] = (before, after)
        elif commit is not None and token:
            added, removed, path = token.split("\t", 2)
            if added.isdigit() and commit.subject:  # "-" is a binary file
                commit.sizes[path] = (int(added), int(removed))
    if commit is not None:
        yield commit


def _successive(git: _Git, commits: Sequence[_Commit]) -> tuple[list[Edits], list[Collision]]:
    """Return the edits that successive versions of a file give, from the latest files back."""
    chains = [chain for chain in _chains(commits) if len(chain[1]) > 2][-MAX_FILES:]
    texts = git.blobs(blob for _, chain in chains for _, blob in chain)
    edits: list[Edits] = []
    collisions: list[Collision] = []
    for path, chain in chains:
        # A version that is too large or no text breaks the chain.
        known = [(name, texts[blob]) for name, blob in chain if blob in texts]
        if len(known) == len(chain):
            versions = Versions(path, tuple(name[:9] for name, _ in known), tuple(text for _, text in known))
            found = split(versions)
            edits += found[0]
            collisions += found[1]
    return edits, collisions


def _chains(commits: Sequence[_Commit]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return (path, [(commit, blob)]) of versions that followed one another, by their last change."""
    open_: dict[str, list[tuple[str, str]]] = {}
    done: list[tuple[str, list[tuple[str, str]]]] = []
    for commit in commits:
        for path, (before, after) in commit.blobs.items():
            chain = open_.pop(path, [])
            if not chain or chain[-1][1] != before:
                if chain:
                    done.append((path, chain))
                chain = [("base", before)] if before != _NONE else []
            if after == _NONE:
                done.append((path, chain))
                continue
            # Dicts keep the order of insertion: whatever changed last is last.
            open_[path] = [*chain, (commit.name, after)][-MAX_VERSIONS:]
    return done + list(open_.items())


def _merges(git: _Git) -> tuple[list[Edits], list[Collision]]:
    """Return what the latest merges of two parents with one base joined: files that both sides changed."""
    found: list[tuple[str, str, tuple[str, str, str, str]]] = []
    shown = git.text("rev-list", "--merges", "--parents", f"--max-count={MAX_MERGES}", "HEAD")
    for line in reversed(shown.splitlines()):
        merge, *parents = line.split(" ")
        bases = git.text("merge-base", "--all", *parents).split() if len(parents) == 2 else []
        if len(bases) == 1:
            found += ((merge, path, four) for path, four in _both_changed(git, bases[0], parents, merge))
    texts = git.blobs(blob for _, _, four in found for blob in four)
    edits: list[Edits] = []
    collisions: list[Collision] = []
    for merge, path, four in found:
        if any(blob not in texts for blob in four):
            continue
        base, ours, theirs, people = (texts[blob] for blob in four)
        result = merge_text(base, ours, theirs)
        if result.clean and result.merged == people:
            edits.append(Edits(path, f"merge {merge[:9]}", base, (ours, theirs), people))
        elif not result.clean:
            collisions.append(Collision(path, f"merge {merge[:9]}", base, ours, theirs, people))
    return edits, collisions


def _both_changed(
    git: _Git, base: str, parents: Sequence[str], merge: str
) -> Iterator[tuple[str, tuple[str, str, str, str]]]:
    """Yield (path, (base, ours, theirs, merged)) of files changed by both sides in different ways."""
    ours, theirs, merged = (_changed(git, base, tip) for tip in (*parents, merge))
    for path in ours.keys() & theirs.keys() & merged.keys():
        four = (ours[path][0], ours[path][1], theirs[path][1], merged[path][1])
        if _NONE not in four and len(set(four[:3])) == 3:
            yield path, four


def _changed(git: _Git, old: str, new: str) -> Mapping[str, tuple[str, str]]:
    """Return path → (blob before, blob after)."""
    tokens = git.text("diff-tree", "-r", "-z", "--no-renames", "--no-ext-diff", old, new).split("\0")
    return {
        path: (head.split(" ")[2], head.split(" ")[3]) for head, path in zip(tokens[::2], tokens[1::2], strict=False)
    }
