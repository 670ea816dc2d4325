from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from metaqore.errors import SettingsError
from metaqore.security import assess
from metaqore.security.model import Assessment, Label, ProviderStatus, Threat, Verdict
from metaqore.security.policy import decide
from metaqore.security.policy_file import load_policies

FILE = Path(__file__).parents[3] / "config" / "policies" / "security.yaml"
POLICIES = load_policies(FILE)
PROVIDERS = {
    "openai": ProviderStatus(local=False, available=True),
    "ollama": ProviderStatus(local=True, available=True),
    "hmcp_gateway": ProviderStatus(local=True, available=True),
    "azure": ProviderStatus(local=False, available=False),
}
ATTACK = Threat("jailbreak", "jailbreak.dan", "Names a jailbreak.", 0.9, False, None, 0, 3)
#: policy → for PUBLIC, INTERNAL, SENSITIVE, CRITICAL: may it go to the cloud?
MATRIX = {
    "default_local_first": (True, True, False, False),
    "enterprise_residency": (True, False, False, False),
    "compliance_local_only": (False, False, False, False),
}


def labelled(label: Label, *threats: Threat) -> Assessment:
    return dataclasses.replace(assess("Paris is the capital of France."), label=label, threats=threats)


def decision(label, requested, policy="default", providers=PROVIDERS):
    return decide(labelled(label), policy=POLICIES[policy], providers=providers, requested=requested)


@pytest.mark.parametrize("policy", list(MATRIX))
@pytest.mark.parametrize("label", list(Label))
def test_each_policy_routes_each_label_as_it_says(policy, label):
    expected = Verdict.APPROVED if MATRIX[policy][label] else Verdict.VETOED

    assert decision(label, "openai", policy).verdict is expected
    assert decision(label, "ollama", policy).verdict is Verdict.APPROVED


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("default", "default_local_first"),
        ("local_first", "default_local_first"),
        (" Enterprise ", "enterprise_residency"),
        ("RESIDENCY", "enterprise_residency"),
        ("compliance", "compliance_local_only"),
        ("Local-Only", "compliance_local_only"),
        ("compliance-local-only", "compliance_local_only"),
    ],
)
def test_a_policy_is_known_by_its_aliases(alias, name):
    assert POLICIES[alias].name == name


def test_an_unknown_policy_names_the_known_ones():
    with pytest.raises(SettingsError, match=r"'strictest'.*compliance_local_only.*residency"):
        POLICIES["strictest"]


@pytest.mark.parametrize("label", [Label.SENSITIVE, Label.CRITICAL])
def test_what_may_not_leave_is_vetoed_when_no_local_provider_answers(label):
    providers = {"openai": ProviderStatus(False, True), "ollama": ProviderStatus(True, False)}

    for requested in (None, "openai", "ollama"):
        vetoed = decision(label, requested, providers=providers)
        assert vetoed.verdict is Verdict.VETOED
        assert vetoed.provider_recommended is None
        assert vetoed.providers_allowed == ()


def test_an_unknown_provider_is_vetoed_with_the_known_ones():
    vetoed = decision(Label.PUBLIC, "skynet")

    assert vetoed.verdict is Verdict.VETOED
    assert vetoed.rules == ("provider.unknown",)
    assert "ollama" in vetoed.reasons[0]


def test_an_unavailable_provider_is_vetoed_and_another_recommended():
    vetoed = decision(Label.PUBLIC, "azure")

    assert vetoed.verdict is Verdict.VETOED
    assert vetoed.rules == ("provider.unavailable",)
    assert vetoed.provider_recommended == "hmcp_gateway"


def test_an_unknown_label_is_vetoed():
    vetoed = decide(labelled(9), policy=POLICIES["default"], providers=PROVIDERS, requested="ollama")  # type: ignore[arg-type]

    assert vetoed.verdict is Verdict.VETOED
    assert vetoed.label is None
    assert vetoed.provider_recommended is None


def test_local_providers_come_first_in_the_order_of_the_file():
    approved = decision(Label.PUBLIC, None)

    assert approved.providers_allowed == ("hmcp_gateway", "ollama", "openai")
    assert approved.provider_recommended == "hmcp_gateway"


def test_a_requested_provider_that_is_allowed_is_the_one_recommended():
    assert decision(Label.PUBLIC, "openai").provider_recommended == "openai"


def test_a_cloud_provider_that_says_it_is_local_stays_cloud():
    lying = {"openai": ProviderStatus(local=True, available=True)}

    assert decision(Label.CRITICAL, "openai", providers=lying).verdict is Verdict.VETOED


def test_a_provider_that_the_file_does_not_name_counts_as_what_it_runs_as():
    providers = {"in_house": ProviderStatus(local=True, available=True), "far": ProviderStatus(False, True)}

    assert decision(Label.CRITICAL, "in_house", providers=providers).verdict is Verdict.APPROVED
    assert decision(Label.CRITICAL, "far", providers=providers).verdict is Verdict.VETOED


def test_an_attack_is_vetoed_with_its_reason_even_to_a_local_provider():
    vetoed = decide(labelled(Label.PUBLIC, ATTACK), policy=POLICIES["default"], providers=PROVIDERS, requested="ollama")

    assert vetoed.verdict is Verdict.VETOED
    assert vetoed.rules == ("threat.jailbreak",)
    assert "Names a jailbreak." in vetoed.reasons[0]


def test_a_policy_that_flags_lets_an_attack_pass_with_an_obligation():
    flagging = load_policies(FILE.read_text().replace("threats: veto", "threats: flag"))
    approved = decide(labelled(Label.PUBLIC, ATTACK), policy=flagging["default"], providers=PROVIDERS, requested=None)

    assert approved.verdict is Verdict.APPROVED
    assert "review_threats" in approved.obligations


def test_a_decision_says_by_which_policy_and_what_is_owed():
    approved = decision(Label.SENSITIVE, None)

    assert (approved.policy, approved.policy_version) == ("default_local_first", 1)
    assert approved.policy_digest == POLICIES.digest
    assert "keep_local" in approved.obligations
    assert approved.to_dict()["label"] == "SENSITIVE"


def test_the_digest_is_of_the_content_and_not_of_its_comments():
    text = FILE.read_text()

    assert load_policies(text + "\n# a remark\n").digest == POLICIES.digest
    assert load_policies(text.replace("INTERNAL: [local, cloud]", "INTERNAL: [local]")).digest != POLICIES.digest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("SENSITIVE: [local]", "SENSITIVE: [local, cloud]", r"routing\.SENSITIVE: 'cloud'.*never leave"),
        ("INTERNAL: [local, cloud]", "INTERNAL: [local, clod]", r"routing\.INTERNAL: 'clod'.*local, cloud"),
        ("      CRITICAL: [local]\n", "", r"policies:\d+: .*routing: 'CRITICAL' is missing"),
        ("PUBLIC: [local]", "PUBLIC: []", r"INTERNAL may go no further than PUBLIC"),
        ("threats: veto\n\n", "threats: maybe\n\n", r"\.threats: 'maybe'.*veto or flag"),
        ("aliases: [default, local_first]", "aliases: [default, enterprise]", r"'enterprise'.*already"),
        ("version: 1\n    aliases", "version: one\n    aliases", r"\.version: 'one'.*whole number"),
        ("default: default_local_first", "default: other", r"default: 'other'.*use one of"),
        ("description: Nothing leaves.", "colour: red", r"'colour'.*aliases, description"),
        ("cloud: [openrouter", "cloud: [ollama, openrouter", r"providers\.cloud: 'ollama'.*once"),
        ("version: 1\n\n", "version: 2\n\n", r"version: 2.*use 1"),
        ("version: 1\n\n", "version: 1\nversion: 1\n", r"'version' is given twice"),
        ("policies:", "policies: [", r"not valid YAML"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_named_with_what_is_allowed(old, new, message):
    text = FILE.read_text()
    assert old in text

    with pytest.raises(SettingsError, match=message):
        load_policies(text.replace(old, new, 1))


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: cannot be read"):
        load_policies(Path("nowhere.yaml"))
