"""Procfile, docker-compose.yml and Dockerfile say what metaqore/embedded/processes.py says.

There is no Docker engine here: the two Docker files are parsed, not run.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from metaqore import settings
from metaqore.embedded.child import Stage
from metaqore.embedded.processes import PROCESSES, ProcessLine, Stack, build
from metaqore.queues import QUEUES

ROOT = Path(__file__).resolve().parents[3]
IN_FILES = {"flower_conf": "config/flower.py", "port": 8000, "web_workers": 2}
ENVIRONMENT = {"POSTGRES_PASSWORD": "p", "REDIS_PASSWORD": "r", "FLOWER_PASSWORD": "f"}


def expand(text: str) -> str:
    """Do what a shell and docker compose do with ${NAME:-default} and ${NAME:?message}."""

    def value(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        return ENVIRONMENT[name] if operator == ":?" else rest

    return re.sub(r"\$\{(\w+)(:-|:\?)([^}]*)\}", value, text).replace("$$", "$")


def procfile() -> dict[str, list[str]]:
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: shlex.split(expand(command)) for name, command in (line.split(": ", 1) for line in lines)}


def services() -> dict[str, dict[str, Any]]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert isinstance(loaded, dict)
    return loaded


def dockerfile() -> list[tuple[str, str]]:
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def test_the_procfile_has_the_lines_of_the_table() -> None:
    table = {line.name: line.argv(host="127.0.0.1", **IN_FILES) for line in PROCESSES}

    assert procfile() == table


@pytest.mark.parametrize("line", PROCESSES, ids=lambda line: line.name)
def test_compose_runs_the_command_of_the_table(line: ProcessLine) -> None:
    command = services()[line.service]["command"]

    assert isinstance(command, list), "the exec form is needed, so that the process itself gets SIGTERM"
    assert [expand(part) for part in command] == line.argv(host="0.0.0.0", **IN_FILES)


def test_compose_has_the_services_of_the_table_and_four_more() -> None:
    assert set(services()) == {line.service for line in PROCESSES} | {"migrate", "redis", "postgres"}


def test_every_queue_has_a_worker_that_listens_to_it_alone() -> None:
    listened = [argv[argv.index("-Q") + 1] for argv in procfile().values() if "-Q" in argv]

    assert sorted(listened) == sorted(QUEUES)


def test_the_image_starts_the_api_by_default() -> None:
    web = next(line for line in PROCESSES if line.stage is Stage.WEB)
    command = next(rest for instruction, rest in dockerfile() if instruction == "CMD")

    assert json.loads(command) == web.argv(host="0.0.0.0", **IN_FILES)


def test_the_image_runs_as_a_user_and_uses_the_exec_form() -> None:
    instructions = dockerfile()
    last_stage = instructions[[i for i, (name, _) in enumerate(instructions) if name == "FROM"][-1] :]

    assert [rest for name, rest in last_stage if name == "USER"] == ["10001"]
    assert all(json.loads(rest) for name, rest in instructions if name in ("RUN", "CMD", "ENTRYPOINT"))


@pytest.mark.parametrize("name", sorted(set(services()) - {"migrate"}))
def test_a_service_is_watched_not_root_and_has_time_to_stop(name: str) -> None:
    service = services()[name]

    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert str(service["user"]) not in ("0", "root")
    assert service["cap_drop"] == ["ALL"]
    assert re.fullmatch(r"\d+s", service["stop_grace_period"])


@pytest.mark.parametrize("line", PROCESSES, ids=lambda line: line.name)
def test_a_service_has_at_least_the_first_grace_period_of_the_table(line: ProcessLine) -> None:
    grace_s = int(services()[line.service]["stop_grace_period"].removesuffix("s"))

    assert grace_s >= line.stop[0][1]


@pytest.mark.parametrize("name", [line.service for line in PROCESSES] + ["migrate"])
def test_a_service_gets_settings_that_metaqore_knows(name: str) -> None:
    environ = {key: expand(value) for key, value in services()[name]["environment"].items()}

    loaded = settings.load(environ=environ)

    assert loaded.redis_url == "redis://:r@redis:6379/0"
    assert loaded.storage_dsn == "postgresql+psycopg://metaqore:p@postgres:5432/metaqore"


def test_a_worker_health_check_pings_the_node_that_the_command_names() -> None:
    for line in PROCESSES:
        if line.stage is Stage.WORKERS:
            service = services()[line.service]
            node = service["command"][service["command"].index("-n") + 1]
            assert service["healthcheck"]["test"][1].endswith("-d " + node.replace("%h", "$$HOSTNAME"))


def test_the_broker_keeps_its_data_and_drops_nothing() -> None:
    command = services()["redis"]["command"]

    options = dict(zip(command[1::2], command[2::2], strict=True))

    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert expand(options["--requirepass"]) == "r"
    assert services()["redis"]["volumes"] == ["redis:/data"]


def test_postgres_18_has_its_volume_where_that_image_keeps_its_data() -> None:
    postgres = services()["postgres"]

    assert postgres["image"] == "postgres:18"
    assert postgres["volumes"] == ["postgres:/var/lib/postgresql"]


def test_everything_waits_for_the_migration_and_the_migration_for_the_database() -> None:
    everything = services()

    assert everything["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for line in PROCESSES:
        waits = everything[line.service]["depends_on"]
        assert waits["migrate"] == {"condition": "service_completed_successfully"}


def test_every_volume_that_is_used_is_declared() -> None:
    declared = set(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"])
    used = {volume.split(":")[0] for service in services().values() for volume in service.get("volumes", [])}

    assert used == declared


def test_the_image_gets_what_it_copies() -> None:
    """What `pip install .` needs is not kept out by .dockerignore."""
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "metaqore", "api", "workers", "config"} <= kept


def test_nothing_secret_is_written_into_the_files() -> None:
    text = (ROOT / "docker-compose.yml").read_text()

    for name in ENVIRONMENT:
        assert re.search(rf"\$\{{{name}:\?", text)
        assert not re.search(rf"{name}:-", text), f"{name} must not have a default"


def test_up_runs_the_table_with_this_python(tmp_path: Path) -> None:
    specs = build(a_stack(tmp_path))

    assert [spec.name for spec in specs] == [line.name for line in PROCESSES]
    assert all(spec.argv[1] == "-m" and spec.argv[2] in ("celery", "granian") for spec in specs)
    web = specs[-1].argv
    assert web[web.index("--port") + 1] == "8123"


def test_stopping_goes_web_then_clock_then_workers(tmp_path: Path) -> None:
    by_stage = sorted(build(a_stack(tmp_path)), key=lambda spec: spec.stage)

    assert [spec.name for spec in by_stage[:1]] == ["web"]
    assert {spec.name for spec in by_stage[1:3]} == {"beat", "flower"}
    assert {spec.name for spec in by_stage[3:]} == {f"worker-{queue}" for queue in QUEUES}
    assert by_stage[-1].stage < Stage.BROKER


def a_stack(folder: Path) -> Stack:
    return Stack(
        data_folder=folder,
        flower_conf=ROOT / "config/flower.py",
        environ={},
        host="0.0.0.0",
        port=8123,
        flower_port=5123,
        web_workers=3,
    )
