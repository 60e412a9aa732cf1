"""What is asked of the bank: a report only over a log that extends the last one that was signed for."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert, update

from issuer import audit
from issuer.audit.folder import LogFolder
from issuer.audit.integrator import Integrator
from issuer.bank.folder import DirectoryFolder
from issuer.bank.outbox import Outbox
from issuer.errors import BrokenInvariant
from issuer.messages import folder as documents
from issuer.store import intents
from issuer.store.states import Door, ReportState
from issuer.store.tables import report
from issuer.store.unit import Store
from issuer.tlog import merkle
from issuer.tlog.note import Signer, Verifier

KEY = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
VERIFIER = Verifier(name="example.com/log", public_key=KEY.public_key().public_bytes_raw())
NOWHERE = "0x" + "11" * 20


class Desk:
    """A log that grows, and reports that are asked for over it."""

    def __init__(self, store: Store, path: Path) -> None:
        self.store = store
        self.log = LogFolder(path / "log", VERIFIER)
        self.bank = DirectoryFolder(path / "bank")
        self.outbox = Outbox(store, self.bank, self.log.log.consistency)
        self._integrator = Integrator(store, self.log, Signer(verifier=VERIFIER, sign=KEY.sign))

    def ask(self, number: int, from_size: int) -> int:
        """Ask for a report over the log with some more records; the log's size that it anchors."""
        with self.store.unit("grow") as unit:
            for place in range(3):
                audit.append(unit, "lock.cleared", f"lock:{place}")
        self._integrator.run()
        anchor = self.log.log.checkpoint()
        values = {"number": number, "log_size": anchor.size, "log_root": "0x" + anchor.root.hex(), "withheld": 0}
        payload = {"number": number, "token": NOWHERE, "feed": NOWHERE, "chain_id": 1, "block_time": 1, "withheld": 0}
        payload |= {"checkpoint": self.log.log.note("checkpoint"), "log_size": anchor.size, "from_size": from_size}
        with self.store.unit("ask") as unit:
            unit.connection.execute(insert(report).values(state=ReportState.FINAL, signatures={}, at=1, **values))
            record = audit.append(unit, "report.requested", f"report:{number}")
            intents.emit(unit, Door.BANK, "report-request", f"report:{number}", payload, record)
        self._integrator.run()
        return anchor.size


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    return Desk(store, tmp_path)


def test_a_request_proves_that_the_log_extends_the_last(desk: Desk) -> None:
    first = desk.ask(1, 0)
    second = desk.ask(2, first)
    desk.outbox.send()
    one, two = (
        documents.read_request(desk.bank.read(documents.ISSUER_TO_BANK, documents.request_name(number)))
        for number in (1, 2)
    )
    assert one.consistency == ()
    roots = (desk.log.log.past(size).root for size in (first, second))
    merkle.verify_consistency(first, next(roots), second, next(roots), two.consistency)


def test_tamper_with_the_log_between_two_reports(desk: Desk) -> None:
    """The database or the folder was exchanged after the last report: nothing is asked of the bank."""
    first = desk.ask(1, 0)
    desk.outbox.send()
    with desk.store.unit("exchange") as unit:
        unit.connection.execute(update(report).values(log_root="0x" + "99" * 32))
    desk.ask(2, first)
    with pytest.raises(BrokenInvariant, match=f"does not extend the one of {first} records that was last signed for"):
        desk.outbox.send()
    assert desk.bank.names(documents.ISSUER_TO_BANK) == [documents.request_name(1)]
