import stat
import threading

import pytest

from metaqore.audit.checkpoint import VerifierKey
from metaqore.audit.key_file import KeyFile, load, load_or_make, published, rotate
from metaqore.errors import SettingsError


def test_a_key_file_is_made_once_whoever_comes_first_and_only_its_owner_reads_it(tmp_path):
    path = tmp_path / "keys" / "signing.key"
    made = []
    threads = [threading.Thread(target=lambda: made.append(load_or_make(path, "log.example"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({str(keys.vkeys[0]) for keys in made}) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [str(VerifierKey.parse(line)) for line in published(path).read_text().splitlines()] == [
        str(made[0].vkeys[0])
    ]


def test_rotation_signs_with_two_keys_then_retires_the_older_and_counts_without_a_restart(tmp_path):
    path = tmp_path / "signing.key"
    file = KeyFile(path, "log.example")
    [first] = file.signers()
    second = rotate(path, retire=False)
    assert [signer.vkey for signer in file.signers()] == [first.vkey, second.signers[-1].vkey]
    third = rotate(path, retire=False)
    assert [signer.vkey for signer in file.signers()] == [second.signers[-1].vkey, third.signers[-1].vkey]
    assert [str(key) for key in load(path).vkeys] == published(path).read_text().splitlines()
    assert len(third.vkeys) == 3
    assert len(rotate(path, retire=True).signers) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "hello\n", "PRIVATE+KEY+log.example+00000000+AAAA\n"])
def test_what_is_no_key_file_is_said_to_be_none(tmp_path, text):
    path = tmp_path / "signing.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="key"):
        load(path)


def test_a_key_file_that_others_may_read_or_of_another_log_is_refused(tmp_path):
    path = tmp_path / "signing.key"
    load_or_make(path, "log.example")
    with pytest.raises(SettingsError, match=r"log\.example"):
        load_or_make(path, "other.example")
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        load(path)
