"""Mining a git history: changes, edits that can be had at the same time, and edits that collide."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from metaqore.cli.demo.history import NoHistory, mine
from metaqore.psmp.merge import merge_text

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

LINES = [f"line {number}\n" for number in range(1, 21)]


class Repository:
    """A git repository in a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environ |= {f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        done = subprocess.run(
            ["git", "-c", "commit.gpgsign=false", *arguments], cwd=self.folder, env=environ, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout

    def commit(self, subject: str, **files: str) -> str:
        """Commit files, given as name=text; ``__`` in a name is a dot. Returns the commit's name."""
        for name, text in files.items():
            (self.folder / name.replace("__", ".")).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)
        return self.git("rev-parse", "HEAD").strip()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def changed(*changes: tuple[int, str]) -> str:
    lines = list(LINES)
    for number, text in changes:
        lines[number - 1] = text + "\n"
    return "".join(lines)


def test_each_file_of_each_commit_is_one_change_with_its_size_oldest_first(repository: Repository) -> None:
    repository.commit("add two files", a__py="1\n2\n", b__md="x\n")
    repository.commit("fix: the second line", a__py="1\nzwei\n3\n")

    history = mine(repository.folder)

    assert [(c.subject, c.path, c.added, c.removed) for c in history.changes] == [
        ("add two files", "a.py", 2, 0),
        ("add two files", "b.md", 1, 0),
        ("fix: the second line", "a.py", 2, 1),
    ]
    assert history.commits == 2
    assert history.changes[-1].message == "fix: the second line\na.py\n+2 -1"


def test_successive_changes_of_different_places_become_edits_of_one_base(repository: Repository) -> None:
    texts = [changed(), changed((2, "two")), changed((2, "two"), (18, "eighteen"))]
    for nth, text in enumerate(texts):
        repository.commit(f"step {nth}", file__txt=text)

    [edits] = mine(repository.folder).edits

    assert (edits.base, edits.merged) == (texts[0], texts[2])
    assert edits.edits == (changed((2, "two")), changed((18, "eighteen")))


def test_successive_changes_of_one_place_are_a_collision(repository: Repository) -> None:
    texts = [changed(), changed((2, "two")), changed((2, "deux"))]
    for nth, text in enumerate(texts):
        repository.commit(f"step {nth}", file__txt=text)

    history = mine(repository.folder)

    assert history.edits == []
    [collision] = history.collisions
    assert (collision.base, collision.first, collision.second, collision.settled) == (*texts, texts[2])


def test_a_merge_commit_gives_base_and_both_sides_as_they_were(repository: Repository) -> None:
    repository.commit("base", file__txt=changed())
    repository.git("checkout", "-q", "-b", "side")
    repository.commit("theirs", file__txt=changed((18, "theirs")))
    repository.git("checkout", "-q", "main")
    repository.commit("ours", file__txt=changed((2, "ours")))
    repository.git("merge", "-q", "-m", "join", "side")

    edits = mine(repository.folder).edits[0]

    assert edits.origin.startswith("merge ")
    assert (edits.base, edits.edits) == (changed(), (changed((2, "ours")), changed((18, "theirs"))))
    assert edits.merged == (repository.folder / "file.txt").read_text()


def test_a_merge_to_which_people_added_something_is_left_out(repository: Repository) -> None:
    repository.commit("base", file__txt=changed())
    repository.git("checkout", "-q", "-b", "side")
    repository.commit("theirs", file__txt=changed((18, "theirs")))
    repository.git("checkout", "-q", "main")
    repository.commit("ours", file__txt=changed((2, "ours")))
    repository.git("merge", "-q", "--no-commit", "side")
    (repository.folder / "file.txt").write_text(changed((2, "ours"), (18, "theirs"), (10, "more")))
    repository.git("commit", "-q", "-a", "-m", "join")

    history = mine(repository.folder)

    assert (history.edits, history.collisions) == ([], [])


def test_a_merge_that_people_had_to_settle_is_a_collision_with_what_they_settled_on(repository: Repository) -> None:
    repository.commit("base", file__txt=changed())
    repository.git("checkout", "-q", "-b", "side")
    repository.commit("theirs", file__txt=changed((2, "theirs")))
    repository.git("checkout", "-q", "main")
    repository.commit("ours", file__txt=changed((2, "ours")))
    repository.git("merge", "-q", "-s", "ours", "-m", "join", "side")
    (repository.folder / "file.txt").write_text(changed((2, "both")))
    repository.git("commit", "-q", "-a", "--amend", "-m", "join")

    [collision] = mine(repository.folder).collisions

    assert (collision.first, collision.second) == (changed((2, "ours")), changed((2, "theirs")))
    assert collision.settled == changed((2, "both"))
    assert not merge_text(collision.base, collision.first, collision.second).clean


def test_odd_names_subjects_and_binary_files_do_no_harm(repository: Repository) -> None:
    (repository.folder / "ä ö\tü.txt").write_text("1\n")
    (repository.folder / "image.png").write_bytes(b"\x89PNG\0\0")
    repository.commit("\x01abc :100644 é 日本\n\nand a body")
    (repository.folder / "image.png").write_bytes(b"\x89PNG\0\1")
    repository.commit("second")

    history = mine(repository.folder)

    assert [(c.subject, c.path) for c in history.changes] == [("\x01abc :100644 é 日本", "ä ö\tü.txt")]


def test_a_file_that_was_deleted_and_came_back_starts_anew(repository: Repository) -> None:
    for nth, text in enumerate([changed(), changed((2, "two"))]):
        repository.commit(f"step {nth}", file__txt=text)
    (repository.folder / "file.txt").unlink()
    repository.commit("gone")
    repository.commit("back", file__txt=changed((18, "eighteen")))

    history = mine(repository.folder)

    assert (history.edits, history.collisions) == ([], [])


@pytest.mark.parametrize("with_git", [True, False], ids=["no repository", "no commit"])
def test_where_there_is_no_history_that_is_said(tmp_path: Path, with_git: bool) -> None:
    folder = tmp_path if with_git else Repository(tmp_path / "repository").folder

    with pytest.raises(NoHistory, match="git"):
        mine(folder)


def test_without_git_that_is_said(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository.folder))

    with pytest.raises(NoHistory, match="git is not installed"):
        mine(repository.folder)


def test_a_variable_that_names_another_repository_does_not_lead_away(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit("here", file__txt="1\n")
    other = Repository(tmp_path / "other")
    other.commit("elsewhere", file__txt="1\n")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))

    assert [change.subject for change in mine(repository.folder).changes] == ["here"]
