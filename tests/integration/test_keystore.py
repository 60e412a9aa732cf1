"""The keys of a home, in real files."""

import json
from pathlib import Path

import pytest
from eth_account import Account

from issuer import crash
from issuer.chain.keystore import Job, Keystore
from issuer.chain.signer import LocalSigner
from issuer.errors import InvalidInput, Misconfigured, NotFound
from issuer.messages.signatures import personal_digest, recover

PASSPHRASE = "a long passphrase"


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    found = Keystore(tmp_path / "keys", PASSPHRASE)
    found.create(light=True)
    return found


def test_every_job_has_its_own_key(keystore: Keystore) -> None:
    assert set(keystore.addresses()) == set(Job)
    assert len(set(keystore.addresses().values())) == len(Job)


def test_two_homes_share_no_key(tmp_path: Path, keystore: Keystore) -> None:
    other = Keystore(tmp_path / "other", PASSPHRASE)
    other.create(light=True)
    assert not set(other.addresses().values()) & set(keystore.addresses().values())


def test_creating_again_keeps_the_keys(keystore: Keystore) -> None:
    addresses, log_key = keystore.addresses(), keystore.log_key().public_key()
    keystore.create(light=True)
    assert (keystore.addresses(), keystore.log_key().public_key()) == (addresses, log_key)


def test_creation_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    keystore = Keystore(tmp_path / "keys", PASSPHRASE)
    passed: list[str] = []

    def die_at_the_third(name: str) -> None:
        passed.append(name)
        if passed.count("after key.write") == 3:
            raise KeyboardInterrupt

    crash.observe(die_at_the_third)
    try:
        with pytest.raises(KeyboardInterrupt):
            keystore.create(light=True)
    finally:
        crash.observe(None)
    made = {path.stem: path.read_bytes() for path in (tmp_path / "keys").glob("*.json")}
    assert len(made) == 3
    keystore.create(light=True)
    assert set(keystore.addresses()) == set(Job)
    assert all((tmp_path / "keys" / f"{name}.json").read_bytes() == body for name, body in made.items())


def test_the_files_are_readable_by_their_owner_only(tmp_path: Path, keystore: Keystore) -> None:
    assert keystore
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_no_secret_is_shown(tmp_path: Path, keystore: Keystore) -> None:
    signer = keystore.signer("sender")
    body = json.loads((tmp_path / "keys" / "sender.json").read_bytes())
    secret = bytes(Account.decrypt(body, PASSPHRASE)).hex()
    shown = f"{keystore!r} {signer!r} {signer} {vars(keystore)}"
    assert secret not in shown
    assert PASSPHRASE not in repr(keystore)


def test_a_wrong_passphrase_is_refused_without_a_word_of_it(tmp_path: Path, keystore: Keystore) -> None:
    assert keystore
    other = Keystore(tmp_path / "keys", "another passphrase")
    for use in (lambda: other.signer("sender"), other.log_key):
        with pytest.raises(Misconfigured, match="passphrase does not open") as caught:
            use()
        assert "another passphrase" not in str(caught.value)


def test_addresses_need_no_passphrase(tmp_path: Path, keystore: Keystore) -> None:
    assert Keystore(tmp_path / "keys", "").addresses() == keystore.addresses()


def test_a_missing_key_is_named(keystore: Keystore) -> None:
    with pytest.raises(NotFound, match="alice"):
        keystore.signer("alice")


def test_a_damaged_file_is_named(tmp_path: Path, keystore: Keystore) -> None:
    (tmp_path / "keys" / "sender.json").write_text("{")
    with pytest.raises(Misconfigured, match="sender"):
        keystore.signer("sender")


def test_a_holder_has_a_wallet_of_its_own(keystore: Keystore) -> None:
    address = keystore.create_holder("alice", light=True)
    assert keystore.holders() == {"alice": address}
    assert keystore.signer("alice").address == address


@pytest.mark.parametrize("name", ["alice", "sender", "../sender", "", "a b"])
def test_a_wallet_name_that_is_taken_or_wrong_is_refused(keystore: Keystore, name: str) -> None:
    keystore.create_holder("alice", light=True)
    with pytest.raises(InvalidInput):
        keystore.create_holder(name, light=True)


def test_a_funded_deployer_is_adopted_once(tmp_path: Path) -> None:
    keystore = Keystore(tmp_path / "keys", PASSPHRASE)
    key = bytes.fromhex("11" * 32)
    address = keystore.adopt(Job.DEPLOYER, key, light=True)
    keystore.create(light=True)
    assert keystore.address(Job.DEPLOYER) == address == LocalSigner(key).address
    with pytest.raises(InvalidInput, match="another deployer"):
        keystore.adopt(Job.DEPLOYER, bytes.fromhex("22" * 32), light=True)


def test_a_signature_recovers_to_the_address(keystore: Keystore) -> None:
    digest = personal_digest("hello")
    assert recover(digest, keystore.signer("sender").sign_digest(digest)) == keystore.address("sender")
