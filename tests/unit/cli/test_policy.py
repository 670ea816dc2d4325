from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from metaqore.cli.main import main

FILE = Path(__file__).parents[3] / "config" / "policies" / "security.yaml"
CASES = Path(__file__).parents[2] / "policies"


def policy(*arguments: object, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["policy", *map(str, arguments)], input=given)


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A policy file that lets public payloads go nowhere but near, and has another rule."""
    text = FILE.read_text().replace("PUBLIC: [local, cloud]\n      INTERNAL: [local, cloud]",
                                    "PUBLIC: [local]\n      INTERNAL: [local]", 1)  # fmt: skip
    text = text.replace('when: label == "CRITICAL"', "when: level >= 2").replace(
        "{label: SENSITIVE}", "{label: PUBLIC}"
    )
    made = tmp_path / "changed.yaml"
    made.write_text(text)
    return made


def test_lint_accepts_the_shipped_file_and_says_what_is_in_it() -> None:
    found = policy("lint")

    assert found.exit_code == 0
    assert "3 policies" in found.output


def test_lint_names_file_line_and_key(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(FILE.read_text().replace('label == "CRITICAL"', 'labl == "CRITICAL"'))

    found = policy("lint", wrong)

    assert found.exit_code == 1
    assert "wrong.yaml:" in found.output
    assert "rules.1.when" in found.output
    assert "Did you mean 'label'" in found.output


def test_lint_reads_the_document_of_a_project_on_top_of_the_file(tmp_path: Path) -> None:
    document = tmp_path / "project.yaml"
    document.write_text("policy: enterprise\nrules: []\n")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("policy: strictest\n")

    assert policy("lint", document).exit_code == 0
    assert "wrong.yaml:1: policy: 'strictest'" in policy("lint", wrong).output


def test_test_runs_cases_and_says_what_does_not_hold(changed: Path) -> None:
    assert policy("test", CASES).exit_code == 0

    found = policy("test", CASES, "--policy-file", changed)

    assert found.exit_code == 1
    assert "what is public may go anywhere" in found.output
    assert "verdict is 'vetoed', expected 'approved'" in found.output


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a provider of this installation that is not local, and enabled."""
    config = tmp_path / "config"
    shutil.copytree(FILE.parents[1], config)
    providers = config / "providers.yaml"
    providers.write_text(providers.read_text().replace("enabled: false", "enabled: true"))
    monkeypatch.setenv("METAQORE_CONFIG_DIR", str(config))
    return "openrouter"


def test_explain_asks_about_the_providers_of_this_installation() -> None:
    def rules(provider: str) -> Any:
        return json.loads(policy("explain", "-", "--provider", provider, "--json", given="Paris.").output)["rules"]

    assert rules("mock") == ["routing.allowed"]
    assert rules("openrouter") == ["provider.unavailable"], "it is configured, and not enabled"
    assert rules("azure") == ["provider.unknown"]


def test_a_rule_about_an_unknown_provider_is_named_with_its_line(tmp_path: Path) -> None:
    rule = {"id": "r", "version": 1, "mode": "enforce", "when": 'provider.name == "opnai"', "effect": "deny",
            "message": "m"}  # fmt: skip
    document = tmp_path / "own.yaml"
    document.write_text(f"otherwise: allow\nrules:\n  - {json.dumps(rule)}\n")

    found = policy("lint", document)

    assert found.exit_code == 1
    assert "own.yaml:3: rules.0.when" in found.output
    assert "never 'opnai'" in found.output


def test_explain_names_each_rule_with_the_part_that_does_not_hold(cloud: str) -> None:
    found = policy("explain", "-", "--provider", cloud, given="Paris is the capital of France.")

    assert "APPROVED  PUBLIC" in found.output
    assert 'redact-secrets@1 (enforce) no: label == "CRITICAL"' in found.output
    assert "(size(" not in found.output
    assert "findings.size() > 0" in found.output


def test_explain_as_json_is_the_decision(cloud: str) -> None:
    found = policy("explain", "-", "--provider", cloud, "--json", given="card 4111 1111 1111 1111")

    assert json.loads(found.output)["rules"] == ["routing.critical.cloud"]


def test_diff_says_what_changes_in_text_and_in_decisions(changed: Path) -> None:
    assert policy("diff", FILE, FILE, "--cases", CASES).exit_code == 0

    found = policy("diff", FILE, changed, "--cases", CASES)

    assert found.exit_code == 1
    assert "~ policy default_local_first: PUBLIC local, cloud → local" in found.output
    assert 'when label == "CRITICAL" → level >= 2' in found.output
    assert "the version is the same" in found.output
    assert "! what is public may go anywhere: verdict approved → vetoed" in found.output


def test_facts_lists_what_a_condition_may_ask_for() -> None:
    assert "provider.region" in policy("facts").output


@pytest.mark.parametrize(
    ("name", "policy_name"),
    [
        ("Compliance", "compliance_local_only"),
        ("residency", "enterprise_residency"),
        ("local-first", "default_local_f"),
    ],
)
def test_explain_decides_by_the_policy_of_this_installation(
    name: str, policy_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAQORE_SECURE_GATEWAY_POLICY", name)

    assert f"by {policy_name}" in policy("explain", "-", given="Paris.").output
    assert "by default_local_first" in policy("explain", "-", "--policy", "default", given="Paris.").output


def test_explain_says_of_another_kind_of_request_only_what_holds_for_it(tmp_path: Path) -> None:
    document = tmp_path / "ours.yaml"
    document.write_text(
        'rules:\n  - id: eyes\n    version: 1\n    mode: enforce\n    when: request.kind == "artifact.declare"\n'
        '    effect: {require_approval: "approvals:answer"}\n    message: Two people look.\n'
    )

    found = policy(
        "explain", "-", "--kind", "artifact.declare", "--document", document, given="password=hunter2hunter2"
    )

    assert "VETOED" in found.output
    assert "eyes@1" in found.output
    assert "redact-secrets" not in found.output
