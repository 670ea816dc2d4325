from __future__ import annotations

from pathlib import Path

import pytest

from metaqore.errors import SettingsError
from metaqore.llm.config import load, parse

SHIPPED = Path(__file__).parents[3] / "config" / "providers.yaml"
GOOD = """
version: 1
batch: {max_batch_tokens: 8192, max_batch_size: 16, max_wait_ms: 2000}
providers:
  one: {kind: mock, class: local, region: local, models: [m]}
  two: {kind: openai, class: cloud, region: eu, models: [x], base_url: "https://host/v1", enabled: false}
"""


def test_the_shipped_file_loads_and_needs_no_network_or_key() -> None:
    file = load(SHIPPED)
    assert [name for name, spec in file.enabled().items() if spec.kind != "mock"] == []
    assert file.offers()[0].name == "mock"
    assert file.batch.max_batch_tokens == 8192


def test_only_enabled_providers_are_offered() -> None:
    assert [offer.name for offer in parse(GOOD).offers()] == ["one"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: mock", "kind: magic", "$.providers"),
        ("kind: mock", "kind: mock, secret: x", "unknown field `secret`"),
        ("class: local, ", "", "missing required field `class`"),
        ("region: local", "region: ''", "$.providers"),
        ("models: [m]", "models: []", "$.providers"),
        ("version: 1", "version: 2", "$.version"),
        ("max_batch_size: 16", "max_batch_size: 0", "$.batch"),
        ("max_batch_size: 16", "max_batch_size: many", "$.batch.max_batch_size"),
        ("https://host/v1", "ftp://host/v1", "base_url"),
        ("https://host/v1", "https://user:secret@host/v1", "base_url"),
        ("https://host/v1", "https://host:99999/v1", "base_url"),
        ("  one:", "  One:", "providers"),
        ("models: [m]}", "models: [m], enabled: false}", "no provider is enabled"),
        ("models: [m]}", "models: [m], base_url: 'http://h/v1'}", "belong to kind openai"),
        ("  two:", "  one:", "given twice"),
        ("version: 1", "version: [", "YAML"),
        ("version: 1", "? [a]\n: 1\nversion: 1", "scalar"),
        ("enabled: false}", "enabled: false, read_timeout_s: 300}", "read_timeout_s"),
    ],
)
def test_what_is_not_understood_is_refused_and_named(old: str, new: str, said: str) -> None:
    with pytest.raises(SettingsError, match=r".") as caught:
        parse(GOOD.replace(old, new, 1), source="providers.yaml")
    assert said in str(caught.value)
    assert "providers.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("{name: s, reply: r}", "exactly one of keyword and regex"),
        ("{name: s, keyword: k, regex: r, reply: r}", "exactly one of keyword and regex"),
        ("{name: s, keyword: k}", "exactly one of reply, classifier and edge"),
        ("{name: s, keyword: k, reply: r, edge: long}", "exactly one of reply, classifier and edge"),
        ("{name: s, regex: '(', reply: r}", "not a regular expression"),
        ("{name: s, keyword: k, classifier: {labels: [{label: a, words: [b]}], default: c, input: x}}", "group"),
    ],
)
def test_a_scenario_that_could_not_work_is_refused(scenario: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse(GOOD.replace("models: [m]}", f"models: [m], scenarios: [{scenario}]}}"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        load(tmp_path / "nowhere.yaml")
