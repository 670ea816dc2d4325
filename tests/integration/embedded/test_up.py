"""``metaqore up``: what it refuses, and one whole run with every process of the table."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
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
from tests.running import free_port


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
