"""How long verifying a log takes over how long hashing the same bytes one by one takes, and what it costs in memory.

    python tests/unit/audit/bench_verify.py [ENTRIES]

Both are measured in the same run, in turns, and the best turn counts; the baseline is a plain loop of
``hashlib.sha256(body).digest()`` over bodies that already lie in memory, a part of the log at a time. ``_cpu`` ratios
compare processor time of all processes, for machines that do other things too; ``_streamed`` ratios compare with a
loop that reads the bodies from the database as well.
"""

import hashlib
import importlib.util
import json
import resource
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from metaqore.audit.block import usable_processes
from metaqore.audit.database import SqliteSource
from metaqore.audit.entry import make_entry
from metaqore.audit.export import ExportSource, export_lines
from metaqore.audit.tags import Tag
from metaqore.audit.verify import Options, verify

_spec = importlib.util.spec_from_file_location("audit_conftest", Path(__file__).with_name("conftest.py"))
setup = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(setup)

ORGANIZATION = "org_0198c0de0198c0de0198c0de0198c0de"


def admitted(organization, seq):
    """The entry of an admitted artifact, with all that such an entry has."""
    ts_ms = setup.T0 + seq * 10
    columns = (f"prn_{seq % 13:032x}", f"prj_{seq % 7:032x}", f"req_{seq:032x}")
    entry = make_entry(
        organization=organization,
        seq=seq,
        tag=Tag.ARTIFACT_ADMITTED,
        actor=columns[0],
        ts_ms=ts_ms,
        project=columns[1],
        request=columns[2],
        subject=f"art_{seq:032x}",
        outcome="approved",
        policy_digest="sha256:" + "b" * 64,
        details={"version": 3, "type": "code", "mode": "strict"},
    )
    return (organization, seq, str(entry.tag), *columns, ts_ms, entry.body, entry.leaf_hash)


def processor_seconds():
    """Processor time of this process and of its children that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def hash_one_by_one(source, count):
    """Wall and processor seconds to hash all bodies in a plain loop, the reading not counted."""
    wall, processor, sha256 = 0.0, 0.0, hashlib.sha256
    for _, _, bodies, _, _ in source.chunks(ORGANIZATION, 1, count):
        start, used = time.perf_counter(), time.process_time()
        for body in bodies:
            sha256(body).digest()
        wall += time.perf_counter() - start
        processor += time.process_time() - used
    return wall, processor


def hash_streamed(path):
    """Wall and processor seconds to read the bodies from the database and hash each, one by one."""
    connection, sha256 = sqlite3.connect(path), hashlib.sha256
    start, used = time.perf_counter(), time.process_time()
    for (body,) in connection.execute(
        "SELECT body FROM audit_entries WHERE organization = ? ORDER BY seq", (ORGANIZATION,)
    ):
        sha256(body).digest()
    spent = time.perf_counter() - start, time.process_time() - used
    connection.close()
    return spent


def timed(source, options, entries):
    """Wall and processor seconds of one verification, which must find all intact."""
    start, used = time.perf_counter(), processor_seconds()
    verdicts = verify(source, options)
    assert [(verdict.exit_code, verdict.sealed) for verdict in verdicts] == [(0, entries)]
    return time.perf_counter() - start, processor_seconds() - used


def audit_verify_ratio(entries, folder, turns=2):
    """Figures of verifying ``entries`` generated entries, sealed every 256."""
    log = setup.Log(folder, ORGANIZATION)
    log.connection.execute("PRAGMA synchronous=OFF")
    log.fill(entries, every=256, row=admitted)
    log.connection.close()
    source = SqliteSource(log.path)
    path = folder / "export.jsonl"
    with path.open("wb") as file:
        file.writelines(export_lines(source, ORGANIZATION))
    figures = {"entries": entries, "body_bytes": len(source.row(ORGANIZATION, 7).body)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    exported = ExportSource(path)
    trials = {
        "database": (source, usable_processes()),
        "database_one_process": (source, 1),
        "export": (exported, usable_processes()),
        "export_one_process": (exported, 1),
    }
    spent = {name: [] for name in ("hash", "hash_streamed", *trials)}
    for _ in range(turns):
        spent["hash"].append(hash_one_by_one(source, entries))
        spent["hash_streamed"].append(hash_streamed(log.path))
        for name, (made, processes) in trials.items():
            spent[name].append(timed(made, Options(log.trust, log.witness, processes=processes), entries))
    best = {name: [min(found) for found in zip(*times, strict=True)] for name, times in spent.items()}
    figures["hash_one_by_one_us"] = best["hash"][0] / entries * 1e6
    figures["hash_streamed_us"] = best["hash_streamed"][0] / entries * 1e6
    for name in trials:
        figures[f"{name}_us"] = best[name][0] / entries * 1e6
        figures[f"audit_verify_ratio_{name}"] = best[name][0] / best["hash"][0]
        figures[f"audit_verify_ratio_{name}_streamed"] = best[name][0] / best["hash_streamed"][0]
        figures[f"audit_verify_ratio_{name}_cpu"] = best[name][1] / best["hash"][1]
    figures["grown_mib"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return figures


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        found = audit_verify_ratio(int(sys.argv[1]) if sys.argv[1:] else 1_000_000, Path(made))
    print(json.dumps(found, indent=1))
