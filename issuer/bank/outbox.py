"""The outbox: intents become documents, documents become files.

A document's bytes are stored, with its name, before its file is written; after a crash the same bytes are written
again under the same name.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select

from issuer.bank.folder import BankFolder
from issuer.errors import BrokenInvariant
from issuer.messages import folder as documents
from issuer.messages import pain
from issuer.store import intents, turn
from issuer.store.intents import Intent
from issuer.store.states import Door, IntentState, PayoutKind, ReportState
from issuer.store.tables import document, intent, payout, report
from issuer.store.unit import Store, Unit
from issuer.tlog import merkle

Consistency = Callable[[int, int], list[bytes]]
"""The log's RFC 6962 consistency proof between two sizes."""

_OUT = (documents.ISSUER_TO_BANK, documents.ISSUER_TO_AUDITOR)
_OPEN = select(intent).where(intent.c.door == Door.BANK, intent.c.state == IntentState.OPEN).order_by(intent.c.id)
_KINDS = (frozenset({"report-request"}), frozenset({"payment"}))
_REPORT_ASKED = select(report.c.number).where(report.c.state == ReportState.REQUESTED)
_WAITING = (
    select(document)
    .join(intent, intent.c.id == document.c.intent_id)
    .where(intent.c.state == IntentState.BOUND, intents.FREE)
    .order_by(document.c.intent_id)
)


class Outbox:
    """Sends what is due to the bank and the auditor."""

    def __init__(self, store: Store, folder: BankFolder, consistency: Consistency) -> None:
        self._store = store
        self._folder = folder
        self._consistency = consistency

    def send(self) -> int:
        """Store the documents of sealed intents, write every stored document that is not out; the number written."""
        self._store_documents()
        return self._write_files()

    def adopt(self) -> int:
        """In recovery: what lies in the folder already was sent, and its own bytes are its document; how many."""
        with self._store.read() as connection:
            waiting = [row for row in connection.execute(_OPEN).mappings()]
        lying = {folder: set(self._folder.names(folder)) for folder in _OUT}
        return sum(self._adopt(row, lying) for row in waiting)

    def orders(self) -> set[str]:
        """The names of the payment orders that lie in the bank's folder. Raises Unreachable."""
        return set(self._folder.names(documents.ISSUER_TO_BANK))

    def _adopt(self, row: RowMapping, lying: dict[str, set[str]]) -> int:
        name, folders = self._place(row["kind"], row["payload"])
        source = next((folder for folder in folders if name in lying[folder]), None)
        if source is None:
            return 0
        body = self._folder.read(source, name)
        with self._store.unit("adopt a document") as unit:
            if intents.move(unit, row["id"], IntentState.OPEN, IntentState.BOUND):
                _keep(unit, row["id"], folders, name, body)
        return 1

    def _place(self, kind: str, payload: dict[str, Any]) -> tuple[str, Sequence[str]]:
        """The name of an intent's document, and the folders that it goes to."""
        if kind != "payment":
            return documents.request_name(payload["number"]), _OUT
        with self._store.read() as connection:
            message_id = connection.scalar(select(payout.c.message_id).where(payout.c.id == payload["payout_id"]))
        return documents.order_name(str(message_id)), _OUT[:1]

    def _store_documents(self) -> None:
        with self._store.read() as connection:
            # Each kind by itself: many payments that a report holds back must not hold back what asks for it.
            due = [item for kinds in _KINDS for item in intents.due(connection, Door.BANK, kinds)]
        for item in due:
            with self._store.unit(f"store document of {item.kind}") as unit:
                if _may_leave(unit, item) and intents.move(unit, item.id, IntentState.OPEN, IntentState.BOUND):
                    self._store_document(unit, item)

    def _store_document(self, unit: Unit, item: Intent) -> None:
        if item.kind == "payment":
            _keep(unit, item.id, _OUT[:1], *_payment(unit.connection, item.payload["payout_id"]))
        else:
            _keep(unit, item.id, _OUT, *self._report_request(unit.connection, item.payload))

    def _report_request(self, connection: Connection, asked: dict[str, Any]) -> tuple[str, bytes]:
        """Raises BrokenInvariant unless the log that it anchors extends the last one that was signed for."""
        proof = self._consistency(asked["from_size"], asked["log_size"]) if asked["from_size"] else []
        if asked["from_size"]:
            _require_extending(connection, asked["from_size"], asked["log_size"], proof)
        request = documents.ReportRequest(
            number=asked["number"],
            token=asked["token"],
            feed=asked["feed"],
            chain_id=asked["chain_id"],
            block_time=asked["block_time"],
            checkpoint=asked["checkpoint"],
            from_size=asked["from_size"],
            consistency=tuple(proof),
            withheld=asked["withheld"],
        )
        return documents.request_name(request.number), documents.write_request(request)

    def _write_files(self) -> int:
        with self._store.read() as connection:
            waiting = connection.execute(_WAITING).mappings().all()
        for row in waiting:
            self._folder.write(row["folder"], row["name"], row["body"])
        for intent_id in {row["intent_id"] for row in waiting}:
            with self._store.unit("close document") as unit:
                intents.move(unit, intent_id, IntentState.BOUND, IntentState.DONE)
        return len(waiting)


def _may_leave(unit: Unit, item: Intent) -> bool:
    """Not a failed order's money while a report is asked for that leaves it out: it may have gone when that is signed.

    Reports are asked for in turn, so that none is asked for while this is being looked at.
    """
    if item.kind != "payment" or not item.subject.startswith("order:"):
        return True
    turn.wait(unit)
    return unit.connection.execute(_REPORT_ASKED).first() is None


def _keep(unit: Unit, intent_id: int, folders: Sequence[str], name: str, body: bytes) -> None:
    rows = [{"intent_id": intent_id, "folder": folder, "name": name, "body": body} for folder in folders]
    unit.connection.execute(insert(document), rows)


def _require_extending(connection: Connection, old: int, new: int, proof: Sequence[bytes]) -> None:
    try:
        merkle.verify_consistency(old, _root(connection, old), new, _root(connection, new), proof)
    except merkle.InvalidProof as error:
        raise BrokenInvariant(
            f"the log of {new} records does not extend the one of {old} records that was last signed for",
            "Keep database and log folder as they are, and run `issuer audit verify`.",
        ) from error


def _root(connection: Connection, size: int) -> bytes:
    """The root that a report is asked, or was signed, to anchor at a size of the log."""
    found = connection.scalars(select(report.c.log_root).where(report.c.log_size == size).limit(1)).one()
    return bytes.fromhex(str(found).removeprefix("0x"))


def _payment(connection: Connection, payout_id: int) -> tuple[str, bytes]:
    row = connection.execute(select(payout).where(payout.c.id == payout_id)).mappings().one()
    order = pain.PaymentOrder(
        message_id=row["message_id"],
        end_to_end_id=row["message_id"],
        created=row["at"],
        kind=pain.OrderKind(row["kind"]),
        debtor_account=row["debtor_account"],
        creditor_account=row["creditor_account"],
        creditor_name=row["creditor_name"],
        amount_fen=row["amount_fen"],
        redemption=_redemption(row),
        text=row["subject"],
    )
    return documents.order_name(order.message_id), pain.write_order(order)


def _redemption(row: RowMapping) -> pain.Redemption | None:
    if row["kind"] != PayoutKind.REDEEM:
        return None
    redemption_id = int(row["subject"].removeprefix("redemption:"))
    return pain.Redemption(id=redemption_id, par_units=row["par"], fee_fen=row["fee_fen"])
