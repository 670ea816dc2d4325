"""Every case in this folder holds. To add one, write YAML; see ``metaqore/security/policy_cases.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaqore.security.policy_cases import Case, load_cases, run_case
from metaqore.security.policy_file import load_policies

POLICIES = load_policies(Path(__file__).parents[2] / "config" / "policies" / "security.yaml")
CASES = load_cases(Path(__file__).parent)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{Path(case.source).stem}: {case.name}")
def test_a_case_holds(case: Case) -> None:
    assert run_case(case, POLICIES) == []
