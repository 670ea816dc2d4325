"""config/flower.py in a real Flower, beside a real worker that sends no events of its own accord."""

from __future__ import annotations

import base64
import importlib.util
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metaqore.embedded.broker import Broker
from tests.running import free_port

HERE = Path(__file__).resolve().parent
CONF = HERE.parents[2] / "config" / "flower.py"
LOGIN = "operator:correct-horse"


def celery(environ: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "flower_probe", *arguments],
        env={**os.environ, **environ}, cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def flower(broker: Broker, wait_until: Any) -> Iterator[str]:
    """The base URL of a Flower with one worker to show."""
    broker.start()
    port = free_port()
    environ = {"PROBE_BROKER": broker.url, "METAQORE_FLOWER_AUTH": LOGIN, "METAQORE_FLOWER_PORT": str(port)}
    started = [
        celery(environ, "worker", "-P", "solo", "-n", "probe@%h", "--without-gossip", "--without-mingle"),
        celery(environ, "flower", f"--conf={CONF}"),
    ]
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: status(f"{url}/healthcheck") == 200, seconds=120)
        yield url
    finally:
        for process in started:
            process.kill()
            process.wait()


def status(url: str, login: str = "") -> int:
    try:
        with open_url(url, login) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def open_url(url: str, login: str, data: bytes | None = None) -> Any:
    headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
    return urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers), timeout=60)


def read(url: str) -> str:
    with open_url(url, LOGIN) as answer:
        return str(answer.read().decode())


def test_flower_asks_for_its_password_shows_what_runs_and_hides_what_was_sent(
    flower: str, broker: Broker, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [status(f"{flower}/", login) for login in ("", "operator:wrong", LOGIN)] == [401, 401, 200]
    assert status(f"{flower}/api/tasks") == 401

    wait_until(lambda: "probe@" in read(f"{flower}/workers?json=1"), seconds=120)
    monkeypatch.setenv("PROBE_BROKER", broker.url)
    specification = importlib.util.spec_from_file_location("flower_probe_here", HERE / "flower_probe.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)

    def shown() -> str:
        """Flower asks the worker for its events every few seconds; tasks from then on are shown."""
        module.look.apply_async(args=["the-payload"])
        page = read(f"{flower}/tasks/datatable?draw=1&start=0&length=10&order[0][column]=0&order[0][dir]=asc"
                    "&columns[0][data]=name&search[value]=")  # fmt: skip
        return page if "probe.look" in page and "SUCCESS" in page else ""

    page = wait_until(shown, seconds=120)
    module.app.close()
    assert "(hidden)" in page
    assert "the-payload" not in page


def test_flower_only_shows(flower: str) -> None:
    """Nothing can be sent, revoked or shut down from it."""
    for path in ("api/task/send-task/probe.look", "api/worker/shutdown/probe@here"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            open_url(f"{flower}/{path}", LOGIN, data=b'{"args": ["x"]}')
        assert refused.value.code in (403, 405)


@pytest.mark.parametrize("auth", [{}, {"METAQORE_FLOWER_AUTH": ""}, {"METAQORE_FLOWER_AUTH": "no-password"}])
def test_flower_does_not_start_without_a_login(auth: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, str(CONF)],
        env={k: v for k, v in os.environ.items() if k != "METAQORE_FLOWER_AUTH"} | auth,
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ran.returncode == 1
    assert "METAQORE_FLOWER_AUTH is needed" in ran.stderr
