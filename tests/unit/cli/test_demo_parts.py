"""What the demonstration stands on: its receivers, its configuration, the installed distributions, its command line."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
import urllib3
from click.testing import CliRunner

from metaqore.cli.demo.agents import Answer, at_once
from metaqore.cli.demo.installation import CLOUD, Installation, folder_for_a_while
from metaqore.cli.demo.receiver import Listener, Received, Receiver, is_signed
from metaqore.cli.demo.requirements import installed
from metaqore.cli.main import main
from metaqore.delivery import signing
from metaqore.llm import config


def test_a_webhook_that_the_engine_signed_is_verified_and_a_changed_one_is_not() -> None:
    secret, body = signing.mint_secret(), b'{"type": "artifact.blocked"}'
    headers = signing.headers([secret], "msg_1", int(time.time()), body)

    with Receiver() as receiver:
        answer = urllib3.request("POST", receiver.url, body=body, headers=headers)
        arrived = receiver.wait_for({"artifact.blocked"}, 5)

    [received] = receiver.received
    assert (answer.status, arrived, received.type) == (204, True, "artifact.blocked")
    assert is_signed(received, secret)
    assert not is_signed(received, signing.mint_secret())
    assert not is_signed(Received(received.headers, body.replace(b"blocked", b"created")), secret)


def test_waiting_for_a_webhook_that_does_not_come_ends() -> None:
    with Receiver() as receiver:
        assert not receiver.wait_for({"never"}, 0.05)


def test_the_listener_counts_whoever_connects() -> None:
    with Listener() as listener:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", listener.port), timeout=60) as connection:
                assert connection.recv(1) == b"", "it hangs up without a word"
    assert listener.connections == 3


def test_nothing_of_the_users_own_settings_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAQORE_STORAGE_DSN", "postgresql://production/")
    monkeypatch.setenv("METAQORE_REDIS_URL", "redis://production/")
    monkeypatch.setenv("METAQORE_CONFIG", "/production.yaml")

    settings = Installation(tmp_path / "data", 1).settings

    assert settings.dsn == f"sqlite:///{tmp_path}/data/metaqore.db"
    assert (settings.redis_url, settings.webhook_allow_private) == ("", True)
    assert settings.port != settings.flower_port


def test_the_cloud_provider_is_switched_on_and_its_address_is_here(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "data", 4711)

    providers = config.load(installation.settings.config_path / "providers.yaml").enabled()

    assert providers[CLOUD].reach == "cloud"
    assert providers[CLOUD].base_url == "http://127.0.0.1:4711/v1"
    assert providers[CLOUD].api_key_env is None
    assert next(iter(providers)) == "mock", "whoever names no provider gets the local one"


@pytest.mark.parametrize("keep", [True, False])
def test_the_data_folder_is_kept_only_where_that_was_asked_for(keep: bool) -> None:
    with pytest.raises(KeyboardInterrupt), folder_for_a_while(keep) as folder:
        (folder / "file").write_text("")
        raise KeyboardInterrupt

    assert folder.exists() is keep
    if keep:
        (folder / "file").unlink()
        folder.rmdir()


def test_each_distribution_comes_after_what_it_depends_on() -> None:
    found = installed()

    seen: set[str] = set()
    for each in found:
        assert set(each.depends_on) <= seen
        assert set(each.depends_on) <= {name for name, _ in each.requires}
        seen.add(each.name)
    assert found[-1].name == "metaqore"
    assert "celery" in found[-1].depends_on
    assert any(specifier for _, specifier in found[-1].requires)


@pytest.mark.parametrize(
    ("status", "body", "fate"),
    [
        (201, {"result": {"artifact": {}}}, "accepted"),
        (200, {"result": {"conflicts": [{"resolution": "merged"}]}}, "merged"),
        (200, {"result": {"provenance": {"merged_by": "adaptive"}}}, "merged"),
        (409, {"code": "blocked"}, "blocked"),
        (409, {"code": "already_resolved"}, "failed"),
        (403, {"code": "vetoed"}, "vetoed"),
        (403, {"code": "forbidden"}, "failed"),
        (202, {"state": "accepted"}, "failed"),
        (500, None, "failed"),
    ],
)
def test_an_answer_tells_what_became_of_a_submission(status: int, body: object, fate: str) -> None:
    assert Answer(status, body).fate == fate


def test_jobs_at_once_answer_in_their_order_and_fail_together() -> None:
    assert at_once([lambda: 1, lambda: 2, lambda: 3]) == [1, 2, 3]
    with pytest.raises(ZeroDivisionError):
        at_once([lambda: 1, lambda: 1 // 0])


def test_a_folder_for_the_page_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path / "missing" / "page.html")])

    assert result.exit_code == 2
    assert "missing does not exist" in result.output
