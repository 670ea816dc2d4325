from __future__ import annotations

from pathlib import Path

import pytest

from metaqore.errors import SettingsError
from metaqore.hmcp.policy import load, parse

SHIPPED = Path(__file__).parents[3] / "config" / "hmcp.yaml"
TEXT = SHIPPED.read_text(encoding="utf-8")


def test_the_shipped_policy_loads() -> None:
    policy = load(SHIPPED)
    assert (policy.certify.alpha, policy.certify.delta) == (0.05, 0.1)
    assert len(policy.gate.stages) == 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("alpha: 0.05", "alpha: 0", "$.certify.alpha"),
        ("alpha: 0.05", "alpha: 5%", "$.certify.alpha"),
        ("delta: 0.10", "delta: 1.0", "$.certify.delta"),
        ("  seed: 7\n", "", "missing required field `seed`"),
        ("seed: 7", "seed: 7\n  epochs: 3", "unknown field `epochs`"),
        ("sensitivity_max: INTERNAL", "sensitivity_max: SECRET", "$.scope.sensitivity_max"),
        ("version: 1", "version: 2", "$.version"),
        ("min_tokens: 4", "min_tokens: 9", "$.discover.head"),
        ("gate: 0.25}", "gate: 0.30}", "add up to 1"),
        ("adversarial, psmp_compatibility]", "adversarial]", "$.gate.stages"),
        ("[functional, forgetting", "[functional, guesswork", "$.gate.stages"),
        ("stages: [functional", "stages: [functional, functional", "$.gate.stages"),
        ("seed: 7", "seed: 7\n  seed: 8", "given twice"),
        ("version: 1", "version: {", "YAML"),
    ],
)
def test_what_is_not_understood_is_refused_and_named(old: str, new: str, said: str) -> None:
    assert old in TEXT
    with pytest.raises(SettingsError) as caught:
        parse(TEXT.replace(old, new, 1), source="hmcp.yaml")
    assert said in str(caught.value)
    assert "hmcp.yaml" in str(caught.value)


def test_the_digest_changes_with_the_content_and_not_with_comments() -> None:
    assert parse("# a comment\n" + TEXT).digest == parse(TEXT).digest
    assert parse(TEXT.replace("seed: 7", "seed: 8")).digest != parse(TEXT).digest


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        load(tmp_path / "nowhere.yaml")
