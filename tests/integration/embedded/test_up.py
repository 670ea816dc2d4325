"""``metaqore up``: what it refuses, and one whole run with every process of the table."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from metaqore import settings
from metaqore.cli.main import main
from metaqore.embedded import identity, leftovers
from metaqore.embedded.broker import Broker
from metaqore.embedded.lock import DataFolderLock
from metaqore.embedded.processes import PROCESSES
from metaqore.store.engine import Database
from tests.in_process import InProcess
from tests.running import free_port, wait_until


def up(*arguments: str, **environ: str) -> Result:
    """Run the command in this process; only for what is refused before anything is started."""
    clean = {name: None for name in os.environ if name.startswith("METAQORE_")}
    return CliRunner().invoke(main, ["up", *arguments], env={**clean, **environ})


def test_a_second_up_on_the_same_folder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    with DataFolderLock(tmp_path):
        result = up("--data", str(tmp_path))

    assert result.exit_code == 1
    assert f"{tmp_path} is in use by process {os.getpid()}" in result.output
    assert "--data" in result.output


@pytest.mark.parametrize("option", ["--port", "--flower-port"])
def test_a_taken_port_is_refused_with_the_option_that_chooses_another(tmp_path: Path, option: str) -> None:
    other = {"--port": "--flower-port", "--flower-port": "--port"}[option]
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        result = up("--data", str(tmp_path), option, str(taken), other, str(free_port()))

    assert result.exit_code == 1
    assert re.search(rf"port {taken} on 127.0.0.1 is taken .* {option}, for example {option} \d+", result.output)


def test_a_given_broker_that_does_not_answer_is_refused(tmp_path: Path) -> None:
    result = up(
        "--data", str(tmp_path), "--port", str(free_port()), "--flower-port", str(free_port()),
        METAQORE_REDIS_URL="redis://:secret@127.0.0.1:1/0",
    )  # fmt: skip

    assert result.exit_code == 1
    assert "METAQORE_REDIS_URL (redis://127.0.0.1:1/0) cannot be used" in result.output
    assert not (tmp_path / "broker").exists(), "where a broker is given, none is started"


def test_a_given_broker_that_evicts_is_refused(tmp_path: Path, broker: Broker) -> None:
    broker.start()
    redis.Redis.from_url(broker.url).config_set("maxmemory-policy", "allkeys-lru")

    result = up(
        "--data", str(tmp_path / "data"), "--port", str(free_port()), "--flower-port", str(free_port()),
        METAQORE_REDIS_URL=broker.url,
    )  # fmt: skip

    assert result.exit_code == 1
    assert "allkeys-lru, which drops messages" in result.output


@pytest.mark.parametrize("setting", ["METAQORE_PORT", "METAQORE_GOVERNANCE_MODE"])
def test_a_bad_setting_is_refused_before_anything_happens(tmp_path: Path, setting: str) -> None:
    result = up("--data", str(tmp_path / "data"), **{setting: "bad"})

    assert result.exit_code == 1
    assert setting in result.output
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["policies/security.yaml", "policies/psmp.yaml", "providers.yaml", "hmcp.yaml"])
def test_a_file_of_settings_that_cannot_be_used_is_refused_before_anything_is_started(
    tmp_path: Path, name: str
) -> None:
    shutil.copytree(settings.load({}).config_path, tmp_path / "config")
    (tmp_path / "config" / name).write_text("nonsense: true\n")

    result = up("--data", str(tmp_path / "data"), METAQORE_CONFIG_DIR=str(tmp_path / "config"))

    assert result.exit_code == 1
    assert str(tmp_path / "config" / name) in result.output
    assert "started" not in result.output


@pytest.mark.parametrize("below", ["", "below"])
def test_a_data_folder_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("in the way")

    result = up(f"--data={tmp_path / 'file' / below}")

    assert result.exit_code in (1, 2)  # click itself refuses a file where a folder is asked for
    assert "Traceback" not in result.output
    assert str(tmp_path / "file") in result.output


@pytest.fixture
def running(
    tmp_path: Path, wait_until: Any, broker: Broker
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    """The whole stack, ready; what it said so far is parsed into name → value."""
    if importlib.util.find_spec("api.wsgi") is None:
        pytest.skip("there is no api.wsgi yet")
    ports = {"--port": str(free_port()), "--flower-port": str(free_port())}
    output = tmp_path / "output"
    arguments = ["--data", str(tmp_path), *(part for pair in ports.items() for part in pair)]
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", "from metaqore.cli.main import main; main()", "up", *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={k: v for k, v in os.environ.items() if not k.startswith("METAQORE_")} | {"COLUMNS": "200"},
        )
    wait_until(lambda: "Try first" in output.read_text() or process.poll() is not None, seconds=240)
    said = output.read_text()
    assert process.poll() is None, said
    yield process, dict(re.findall(r"^(\S+)\s+started\s+pid (\d+)", said, re.M)) | ports
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    leftovers.end_leftovers(tmp_path / "run", patience_s=0.2)


@pytest.mark.slow
def test_one_command_runs_everything_and_ctrl_c_stops_it_in_order(
    running: tuple[subprocess.Popen[bytes], dict[str, str]], tmp_path: Path
) -> None:
    process, said = running
    assert {line.name for line in PROCESSES} | {"broker"} <= said.keys()
    assert urllib.request.urlopen(f"http://127.0.0.1:{said['--port']}/readyz").status == 200
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://127.0.0.1:{said['--flower-port']}/")
    _flower_shows_every_worker_and_no_password(f"http://127.0.0.1:{said['--flower-port']}", tmp_path)
    secret_files = [tmp_path / "flower.login", tmp_path / "broker" / "valkey.conf", *(tmp_path / "logs").iterdir()]
    assert {path.stat().st_mode & 0o777 for path in secret_files} == {0o600}

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=90) == 0
    stopped = re.findall(r"^(\S+)\s+(?:stopped|killed)", (tmp_path / "output").read_text(), re.M)
    assert stopped[0] == "web"
    assert set(stopped[1:3]) == {"beat", "flower"}
    assert stopped[-1] == "broker"
    assert "killed" not in (tmp_path / "output").read_text()
    assert not [name for name in said if not name.startswith("--") and identity.started(int(said[name]))]


def _flower_shows_every_worker_and_no_password(url: str, folder: Path) -> None:
    """As the operator sees it: each of our five workers, how it is set up, and not how to get at the broker."""
    found = re.search(r'^requirepass "?(\w+)', (folder / "broker" / "valkey.conf").read_text(), re.M)
    login, password = (folder / "flower.login").read_text().strip(), found[1] if found else ""
    queues = {"psmp", "security", "llm", "hmcp", "system"}

    def shown(path: str) -> str:
        headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
        with urllib.request.urlopen(urllib.request.Request(url + path, headers=headers), timeout=60) as answer:
            return str(answer.read().decode())

    def set_up() -> dict[str, Any]:
        """Each worker's own settings; Flower asks them when it is asked to."""
        try:
            told = json.loads(shown("/api/workers?refresh=1"))
        except urllib.error.HTTPError:
            return {}  # It has heard of none yet.
        whole = {name.partition("@")[0]: worker for name, worker in told.items() if worker.get("conf")}
        return whole if whole.keys() >= queues else {}

    workers = wait_until(set_up, "every worker says how it is set up")
    assert workers.keys() == queues
    assert {name: [queue["name"] for queue in workers[name]["active_queues"]] for name in queues} == {
        name: [name] for name in queues
    }
    assert len(password) >= 32
    pages = [json.dumps(workers), *map(shown, ("/", "/tasks", "/workers?json=1"))]
    assert "redbeat_redis_url" in pages[0]
    assert not [page for page in pages if password in page]


@pytest.mark.slow
def test_two_ctrl_c_in_the_middle_of_work_lose_nothing_that_was_promised(
    running: tuple[subprocess.Popen[bytes], dict[str, str]], tmp_path: Path
) -> None:
    """Killed at whatever line each process is; what is open is decided later, once, and by then all is there."""
    process, said = running
    key, api = (tmp_path / "development.key").read_text().strip(), f"http://127.0.0.1:{said['--port']}/api/v1"

    def asked(path: str, body: object) -> Any:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        sent = urllib.request.Request(api + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(sent, timeout=60) as answer:
            return json.loads(answer.read())

    project = asked("/projects", {"name": "p"})["id"]
    promised: list[str] = []
    for batch in range(5):
        items = [{"project": project, "type": "doc", "name": f"{batch}-{n}", "content": "x"} for n in range(100)]
        promised += [item["id"] for item in asked("/artifacts/batch", {"items": items})["items"]]

    while process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)

    assert not [name for name in said if not name.startswith("--") and identity.started(int(said[name]))]
    later = InProcess(tmp_path, key)
    later.drain()
    database = Database(later.settings.dsn)
    with database.read() as connection:
        decided = connection.exec_driver_sql("SELECT id, verdict FROM requests WHERE kind = 'artifact.declare'")
        ends: dict[str, str] = dict(decided.fetchall())
        versions = connection.exec_driver_sql("SELECT request_id, count(*) FROM artifact_versions GROUP BY 1")
        effects: dict[str, int] = dict(versions.fetchall())
    database.close()
    later.close()
    assert len(promised) == 500
    assert ends == dict.fromkeys(promised, "approved")
    assert effects == dict.fromkeys(promised, 1)
