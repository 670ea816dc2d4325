"""What is handed to a data subject is all there is: each table that may name it, or a request of its, is asked."""

from __future__ import annotations

import re

from metaqore.store.tables import metadata
from metaqore.store.views.subject_access import HOLDINGS

#: Columns that hold a principal's name or the id of a request.
NAMING = frozenset(
    {
        "request_id", "principal", "actor", "created_by", "updated_by", "changed_by", "requested_by", "answered_by",
        "resolved_by", "placed_by", "set_by", "held_by", "declared_by", "delegator", "owner", "author", "manager",
        "assigned_to",
    }
)  # fmt: skip
#: Tables with such a column that hold nothing of a person, and why.
NOT_THEIRS = {
    "leases": "the owner is a process",
    "patterns": "what repeats, made of many people's calls and forgotten with any of them; the request is the engine's",
    "policy_files": "the engine's own files, noted by the engine",
}
SECRET = re.compile(r"secret|hash|wrapped|fingerprint")


def test_every_table_that_may_name_a_subject_is_looked_through() -> None:
    looked = {name for one in HOLDINGS.values() for name in re.findall(r"\w+", one.table)}
    naming = {table.name for table in metadata.tables.values() if NAMING & set(table.columns.keys())}
    assert naming - looked - set(NOT_THEIRS) == set()


def test_every_column_that_may_name_a_subject_is_compared() -> None:
    missing = []
    for one in HOLDINGS.values():
        if one.table not in metadata.tables:
            continue
        columns = NAMING & set(metadata.tables[one.table].columns.keys())
        # What came with a request is its subject's, whoever sent it.
        by_request = "request_id IN (SELECT id FROM requests" in one.where or one.table == "requests"
        named = {name for name in columns if re.search(rf"\b{name} = :subject", one.where)}
        if not by_request and columns - named - {"request_id"}:
            missing.append((one.table, sorted(columns - named)))
    assert missing == []


def test_a_statement_names_the_organization_wherever_it_names_the_subject() -> None:
    for name, one in HOLDINGS.items():
        sql, values = one.asked("acme", "ann")
        assert sql.count("?") == len(values), name
        assert set(values) == {"acme", "ann"}, name


def test_no_secret_is_handed_out() -> None:
    for name, one in HOLDINGS.items():
        if one.columns != "*":
            assert not SECRET.search(one.columns), name
            continue
        columns = set(metadata.tables[one.table].columns.keys())
        assert {column for column in columns if SECRET.search(column)} <= {
            "content_hash",
            "prefix_hash",
            "value_hash",
        }, name
