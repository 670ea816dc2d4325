"""The policy file is read again when it changes; a bad one changes nothing and is named once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import structlog

from metaqore.errors import SettingsError
from metaqore.security.policy_file import Policies
from metaqore.security.policy_source import PolicySource
from tests.running import wait_until
from tests.unit.security.test_policy import FILE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(shutil.copy(FILE, tmp_path / "security.yaml"))


def write(file: Path, text: str) -> None:
    """Replace the file as an editor does: another one takes its name."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, file)


def test_a_changed_file_is_taken_up_without_anybody_asking(file: Path) -> None:
    source = PolicySource(file)
    before = source.current().digest

    write(file, file.read_text().replace("threats: veto", "threats: flag"))

    wait_until(lambda: source.current().digest != before, "the new policy holds", seconds=60)
    assert source.current().default.threats == "flag"


def test_a_bad_file_keeps_the_old_policy_and_says_so_once(file: Path) -> None:
    source = PolicySource(file)
    before = source.current().digest
    write(file, "version: 9\n")

    with structlog.testing.capture_logs() as logs:
        assert (source.look(), source.look()) == (False, False)

    assert source.current().digest == before
    assert [entry["event"] for entry in logs] == ["policy_refused"]
    assert "'default' is missing" in logs[0]["reason"]
    report = source.report()
    assert (report["ok"], report["digest"]) == (False, before)
    assert "version: 9" not in str(report)


def test_a_mended_file_is_taken_up_again(file: Path) -> None:
    source = PolicySource(file)
    good = file.read_text()
    write(file, "version: 9\n")
    source.look()

    write(file, good.replace("threats: veto", "threats: flag"))

    assert source.look() is True
    assert source.report()["ok"] is True


def test_a_file_that_is_gone_keeps_the_old_policy(file: Path) -> None:
    source = PolicySource(file)
    file.unlink()

    assert source.look() is False
    assert source.report()["ok"] is False


def test_a_file_without_the_policy_of_this_installation_is_refused(file: Path) -> None:
    def accept(policies: Policies) -> object:
        return policies["enterprise"]

    source = PolicySource(file, accept)
    write(file, file.read_text().replace("enterprise_residency:", "another:").replace("[enterprise, residency]", "[]"))

    assert source.look() is False
    assert "enterprise" in source.current()


def test_a_process_does_not_start_without_a_usable_policy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        PolicySource(tmp_path / "none.yaml")
