"""From a unit of work to the published log, on both engines, whatever dies on the way."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, delete, insert, select, update

from issuer import audit, crash
from issuer.audit import personal, trail
from issuer.audit.folder import LogFolder
from issuer.audit.integrator import Integrator
from issuer.audit.record import Record, canonical
from issuer.audit.verify import Statement, verify
from issuer.errors import BrokenInvariant, InvalidInput, NotFound
from issuer.store import intents
from issuer.store.states import Door
from issuer.store.tables import audit_record, checkpoint, log_tree, salt
from issuer.store.unit import Store
from issuer.tlog import merkle
from issuer.tlog.note import Signer, Verifier
from tests.clock import ManualClock

KEY = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
SIGNER = Signer(
    verifier=Verifier(name="example.com/log", public_key=KEY.public_key().public_bytes_raw()), sign=KEY.sign
)


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path / "log", SIGNER.verifier)


@pytest.fixture
def integrator(store: Store, folder: LogFolder) -> Integrator:
    return Integrator(store, folder, SIGNER)


def record(store: Store, count: int = 1, subject: str = "deposit:1") -> int:
    with store.unit("write") as unit:
        for number in range(count):
            last = audit.append(unit, "deposit.taken", subject, after={"number": number})
    return last


def insert_body(store: Store, record_id: int) -> bytes:
    body = canonical({"id": record_id})
    with store.unit("write") as unit:
        unit.connection.execute(insert(audit_record).values(id=record_id, body=body, subject="test:1"))
    return body


def assert_sound(store: Store, folder: LogFolder, size: int) -> None:
    with store.read() as connection:
        verdict = verify(folder, connection=connection)
    assert (verdict.failure, verdict.size, verdict.pending) == (None, size, 0)


# -- records


def test_a_record_says_who_did_what_and_when(store: Store) -> None:
    with store.unit("write", "operator:alice") as unit:
        audit.append(unit, "mint.approved", "order:7", before={"state": "requested"}, after={"state": "approved"})
    with store.read() as connection:
        (found,) = trail.trace(connection, ["order:7"])
    assert found.place is None
    assert found.record == Record(
        at=1_790_000_000,
        actor="operator:alice",
        action="mint.approved",
        subject="order:7",
        before={"state": "requested"},
        after={"state": "approved"},
        evidence=[],
    )


def test_a_unit_that_fails_leaves_no_record(store: Store, integrator: Integrator, folder: LogFolder) -> None:
    with suppress(ZeroDivisionError), store.unit("write") as unit:
        audit.append(unit, "deposit.taken", "deposit:1")
        raise ZeroDivisionError
    assert integrator.run() == 0
    assert folder.log.checkpoint().size == 0


def test_what_has_no_canonical_form_is_refused_with_its_unit(store: Store) -> None:
    with pytest.raises(InvalidInput), store.unit("write") as unit:
        audit.append(unit, "deposit.taken", "deposit:1", after={"units": 0.5})
    with store.read() as connection:
        assert trail.latest(connection, 1) == []


def test_a_trail_follows_several_subjects_in_order(store: Store) -> None:
    for subject in ("order:1", "batch:1", "order:2", "order:1"):
        record(store, subject=subject)
    with store.read() as connection:
        found = trail.trace(connection, ["order:1", "batch:1"])
        assert [entry.record.subject for entry in found] == ["order:1", "batch:1", "order:1"]
        assert [entry.id for entry in trail.latest(connection, 2)] == [4, 3]


# -- places


def test_records_are_placed_signed_and_published(store: Store, integrator: Integrator, folder: LogFolder) -> None:
    record(store, 3)
    assert integrator.run() == 3
    record(store, 300)
    assert integrator.run() == 300
    assert integrator.run() == 0
    assert folder.past_sizes() == [3, 303]
    assert_sound(store, folder, 303)


def test_a_lower_id_that_shows_later_gets_the_later_place(
    store: Store, integrator: Integrator, folder: LogFolder
) -> None:
    late, early = insert_body(store, 9), insert_body(store, 12)
    integrator.run()
    lower = insert_body(store, 4)
    integrator.run()
    assert list(folder.log.entries(3)) == [late, early, lower]
    assert_sound(store, folder, 3)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_unit_that_commits_late_is_not_skipped(store: Store, integrator: Integrator, folder: LogFolder) -> None:
    with store.unit("slow") as slow:
        first = audit.append(slow, "deposit.taken", "deposit:slow")
        second = record(store, subject="deposit:fast")
        assert first < second
        assert integrator.run() == 1
    assert integrator.run() == 1
    with store.read() as connection:
        assert [entry.place for entry in trail.latest(connection, 2)] == [0, 1]
    assert_sound(store, folder, 2)


def test_integrators_side_by_side_make_one_log(store: Store, folder: LogFolder) -> None:
    def work(number: int) -> int:
        sealed = 0
        for _ in range(5):
            record(store, 10, f"worker:{number}")
            sealed += Integrator(store, folder, SIGNER).run()
        return sealed

    with ThreadPoolExecutor(3) as pool:
        sealed = sum(pool.map(work, range(3)))
    assert sealed == 150
    assert_sound(store, folder, 150)


def test_an_intent_is_due_once_its_record_is_published(store: Store, integrator: Integrator) -> None:
    with store.unit("write") as unit:
        sealed = audit.append(unit, "payout.instructed", "payout:1")
        intents.emit(unit, Door.BANK, "payment", "payout:1", {}, sealed)
    with store.read() as connection:
        assert intents.due(connection, Door.BANK) == []
    integrator.run()
    with store.read() as connection:
        assert [intent.subject for intent in intents.due(connection, Door.BANK)] == ["payout:1"]


# -- crashes


class Died(BaseException):
    """The process ends here."""


def points(act: Callable[[], object]) -> list[str]:
    seen: list[str] = []
    crash.observe(seen.append)
    try:
        act()
    finally:
        crash.observe(None)
    return seen


def die_at(number: int, act: Callable[[], object]) -> None:
    passed = 0

    def observer(_name: str) -> None:
        nonlocal passed
        passed += 1
        if passed == number:
            raise Died

    crash.observe(observer)
    try:
        act()
    finally:
        crash.observe(None)


def test_a_crash_anywhere_loses_nothing_and_publishes_nothing_false(
    store: Store, integrator: Integrator, folder: LogFolder
) -> None:
    """Each round fills a bundle and opens the next, so that every kind of file is written and pruned."""
    record(store, 3)
    integrator.run()
    record(store, 256)
    seen = points(integrator.run)
    effects = {"commit integrate log", "commit publish log"}
    effects |= {"log.records", "log.checkpoint", "log.prune"}
    assert {point.removeprefix("before ").removeprefix("after ") for point in seen} == effects
    size = 259
    for number in range(1, len(seen) + 1):
        record(store, 256)
        size += 256
        with pytest.raises(Died):
            die_at(number, integrator.run)
        assert verify(folder).holds
        integrator.run()
        assert_sound(store, folder, size)


def test_no_intent_is_due_before_its_record_lies_in_the_folder(
    store: Store, integrator: Integrator, folder: LogFolder
) -> None:
    early = 0
    for number in range(1, 16):
        with store.unit("write") as unit:
            sealed = audit.append(unit, "payout.instructed", f"payout:{number}")
            intents.emit(unit, Door.BANK, "payment", f"payout:{number}", {}, sealed)
        with suppress(Died):
            die_at(number, integrator.run)
        with store.read() as connection:
            due = len(intents.due(connection, Door.BANK))
        assert due <= folder.log.checkpoint().size
        early += due < number
        integrator.run()
    assert early == 7, "at every point but the one after the last commit"


# -- another history


def test_a_database_that_lost_records_signs_nothing(store: Store, integrator: Integrator, folder: LogFolder) -> None:
    """As after a restore from a copy that is older than the folder."""
    record(store, 3)
    integrator.run()
    with store.read() as connection:
        old_tree = connection.execute(select(log_tree)).mappings().one()
    record(store, 2)
    integrator.run()
    with store.unit("restore an old copy") as unit:
        unit.connection.execute(delete(audit_record).where(audit_record.c.place >= 3))
        unit.connection.execute(delete(checkpoint).where(checkpoint.c.size > 3))
        unit.connection.execute(update(log_tree).values(dict(old_tree)))
    record(store, 4, "deposit:other")
    with pytest.raises(BrokenInvariant, match="size 5 that this database never made"):
        integrator.run()
    with store.read() as connection:
        assert list(connection.scalars(select(checkpoint.c.size))) == [3]
    assert folder.log.checkpoint().size == 5


def test_an_empty_database_does_not_start_a_second_history(
    store: Store, tmp_path: Path, integrator: Integrator
) -> None:
    record(store, 3)
    integrator.run()
    other = Store(f"sqlite:///{tmp_path}/other.db", ManualClock())
    other.migrate()
    with pytest.raises(BrokenInvariant, match="never made"):
        Integrator(other, LogFolder(tmp_path / "log", SIGNER.verifier), SIGNER).run()
    other.close()


def test_a_lost_folder_is_written_again(store: Store, integrator: Integrator, tmp_path: Path) -> None:
    record(store, 300)
    integrator.run()
    (tmp_path / "log").rename(tmp_path / "lost")
    assert integrator.run() == 0
    assert_sound(store, LogFolder(tmp_path / "log", SIGNER.verifier), 300)
    assert (tmp_path / "lost" / "checkpoint").read_bytes() == (tmp_path / "log" / "checkpoint").read_bytes()


def edit(connection: Connection) -> None:
    connection.execute(update(audit_record).where(audit_record.c.place == 1).values(body=b"edited"))


def remove(connection: Connection) -> None:
    connection.execute(delete(audit_record).where(audit_record.c.place == 1))


def remove_last(connection: Connection) -> None:
    connection.execute(delete(audit_record).where(audit_record.c.place == 4))


def swap(connection: Connection) -> None:
    for old, new in ((1, 100), (2, 1), (100, 2)):
        connection.execute(update(audit_record).where(audit_record.c.place == old).values(place=new))


def insert_between(connection: Connection) -> None:
    for place in (4, 3, 2):
        connection.execute(update(audit_record).where(audit_record.c.place == place).values(place=place + 1))
    connection.execute(insert(audit_record).values(body=b"inserted", subject="deposit:1", place=2))


@pytest.mark.parametrize(
    ("tamper", "what"),
    [
        (edit, "record 1 in the database is not the one in the log"),
        (remove, "record 1 of the log is missing in the database"),
        (remove_last, "record 4 of the log is missing in the database"),
        (swap, "record 1 in the database is not the one in the log"),
        (insert_between, "record 2 in the database is not the one in the log"),
    ],
)
def test_tamper_with_the_database(
    store: Store, integrator: Integrator, folder: LogFolder, tamper: Callable[[Connection], None], what: str
) -> None:
    record(store, 5)
    integrator.run()
    with store.unit("tamper") as unit:
        tamper(unit.connection)
    with store.read() as connection:
        failure = verify(folder, connection=connection).failure
    assert failure is not None
    assert (failure.statement, failure.what) == (Statement.STORED, what)
    record(store)
    with pytest.raises(BrokenInvariant):
        integrator.run()
    assert folder.log.checkpoint().size == 5


def test_tamper_with_the_folder_behind_the_database(
    store: Store, integrator: Integrator, folder: LogFolder, tmp_path: Path
) -> None:
    """A folder cut back to an older state is perfect by itself; the database remembers what it published."""
    record(store, 5)
    integrator.run()
    note = (tmp_path / "log/checkpoint").read_bytes()
    record(store, 2)
    integrator.run()
    (tmp_path / "log/checkpoint").write_bytes(note)
    (tmp_path / "log/checkpoints/007").unlink()
    assert verify(folder).holds
    with store.read() as connection:
        failure = verify(folder, connection=connection).failure
    assert failure is not None
    assert failure.statement is Statement.WHOLE
    assert "7 records is known to the database, but this one ends after 5" in failure.what


def test_records_not_yet_published_are_counted(store: Store, integrator: Integrator, folder: LogFolder) -> None:
    record(store, 5)
    integrator.run()
    record(store, 2)
    with store.read() as connection:
        verdict = verify(folder, connection=connection)
    assert (verdict.holds, verdict.size, verdict.pending) == (True, 5, 2)


# -- personal data


def test_erasing_the_salt_erases_the_person_and_keeps_the_proof(
    store: Store, integrator: Integrator, folder: LogFolder, tmp_path: Path
) -> None:
    with store.unit("write") as unit:
        commitment = audit.commit_personal(unit, "Wong Siu Ming")
        audit.append(unit, "customer.added", "customer:1", after={"name": commitment})
    integrator.run()
    with store.read() as connection:
        opening = personal.reveal(connection, commitment)
    assert (opening.value, len(opening.salt), opening.commitment) == ("Wong Siu Ming", 32, commitment)
    assert commitment == "0x" + sha256(opening.salt + b'"Wong Siu Ming"').hexdigest()
    with store.unit("erase", "operator:alice") as unit:
        audit.erase(unit, commitment)
    integrator.run()
    with store.read() as connection:
        assert connection.execute(select(salt)).all() == []
        with pytest.raises(NotFound):
            personal.reveal(connection, commitment)
        (erasure,) = trail.trace(connection, [f"commitment:{commitment}"])
    assert (erasure.record.action, erasure.record.actor) == ("personal.erased", "operator:alice")
    assert_sound(store, folder, 2)
    first = next(folder.log.entries(2))
    assert commitment.encode() in first
    merkle.verify_inclusion(merkle.leaf_hash(first), 0, 2, folder.log.checkpoint().root, folder.log.inclusion(0, 2))
    published = b"".join(file.read_bytes() for file in (tmp_path / "log").rglob("*") if file.is_file())
    assert b"Wong" not in published
    assert opening.salt not in published


def test_the_same_value_is_never_committed_to_twice_alike(store: Store) -> None:
    with store.unit("write") as unit:
        assert audit.commit_personal(unit, "Wong") != audit.commit_personal(unit, "Wong")


def test_what_was_never_committed_to_cannot_be_erased(store: Store) -> None:
    with pytest.raises(NotFound), store.unit("erase") as unit:
        audit.erase(unit, "0x00")
