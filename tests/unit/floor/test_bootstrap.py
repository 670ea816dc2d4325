"""What a process has that opens the database without having configured anything else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_command_that_configured_no_logs_prints_none_among_its_output(tmp_path: Path) -> None:
    code = (
        "import structlog; from metaqore.bootstrap import open_database; from metaqore.settings import Settings;"
        f"open_database(Settings(data_dir={str(tmp_path)!r})).close(); structlog.get_logger().warning('careful')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == ""
    assert '"event": "careful"' in done.stderr
