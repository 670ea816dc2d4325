import pytest

from tests.audit_log import Log


@pytest.fixture
def log(tmp_path):
    """A log in a SQLite file of its own."""
    made = Log(tmp_path)
    yield made
    made.connection.close()
