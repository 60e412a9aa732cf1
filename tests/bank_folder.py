"""An issuer as bank and auditor see it: a log that grows, orders and requests in the bank folder."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from issuer.messages import folder, pain
from issuer.messages.camt import Entry, Notice, Statement, read_notice, read_statement
from issuer.messages.folder import Refusal, ReportRequest
from issuer.messages.pain import OrderKind, PaymentOrder, PaymentStatus, Redemption
from issuer.messages.report import SignedReport
from issuer.mockbank.bank import COLLECTION, OPERATING, RESERVE
from issuer.mockbank.folder import Folder
from issuer.tlog import checkpoint, merkle
from issuer.tlog.note import Signer, Verifier
from tests.clock import START

TOKEN = "0x" + "11" * 20
FEED = "0x" + "22" * 20
CHAIN = 31337
CUSTOMER = "990000000001"

ROUTES = {
    OrderKind.MINT: (COLLECTION, RESERVE),
    OrderKind.UNFUND: (RESERVE, COLLECTION),
    OrderKind.REDEEM: (RESERVE, CUSTOMER),
    OrderKind.REFUND: (COLLECTION, CUSTOMER),
    OrderKind.RETURN: (COLLECTION, CUSTOMER),
    OrderKind.BUFFER: (OPERATING, RESERVE),
    OrderKind.SWEEP: (RESERVE, OPERATING),
}


def signer(seed: bytes = b"\7" * 32, name: str = "example.com/issuer") -> Signer:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return Signer(verifier=Verifier(name=name, public_key=key.public_key().public_bytes_raw()), sign=key.sign)


def order(message_id: str, kind: OrderKind, amount_fen: int, **changes: Any) -> PaymentOrder:
    """An order on the usual route; a REDEEM has the par that the amount makes, under the id of its number."""
    debtor, creditor = ROUTES[kind]
    fields: dict[str, Any] = {
        "message_id": message_id,
        "end_to_end_id": message_id,
        "created": START,
        "kind": kind,
        "debtor_account": debtor,
        "creditor_account": creditor,
        "creditor_name": "Platform A Limited",
        "amount_fen": amount_fen,
    }
    return PaymentOrder(**{**fields, **changes})


def redeem(message_id: str, redemption_id: int, par_fen: int, fee_fen: int = 0, **changes: Any) -> PaymentOrder:
    redemption = Redemption(id=redemption_id, par_units=par_fen * 10_000, fee_fen=fee_fen)
    return order(message_id, OrderKind.REDEEM, par_fen - fee_fen, redemption=redemption, **changes)


@dataclass
class IssuerSide:
    """Writes what the issuer would write, and reads what it would read."""

    path: Path
    log: list[bytes] = field(default_factory=list)
    signer: Signer = field(default_factory=signer)

    def __post_init__(self) -> None:
        self.folder = Folder(self.path)
        self.folder.write(folder.KEYS, folder.ISSUER_KEY, folder.write_log_key(self.signer.verifier.vkey))

    def send(self, *orders: PaymentOrder) -> None:
        for each in orders:
            name = folder.order_name(each.message_id)
            self.folder.write(folder.ISSUER_TO_BANK, name, pain.write_order(each))

    def request(self, number: int, from_size: int, block_time: int, *, records: int = 3, **changes: Any) -> None:
        """Ask for a report after `records` more records in the log."""
        self.log += [f"record {len(self.log) + place}".encode() for place in range(records)]
        request = self.request_of(number, from_size, block_time, **changes)
        for directory in (folder.ISSUER_TO_BANK, folder.ISSUER_TO_AUDITOR):
            self.folder.write(directory, folder.request_name(number), folder.write_request(request))

    def request_of(self, number: int, from_size: int, block_time: int, **changes: Any) -> ReportRequest:
        size = len(self.log)
        proof = merkle.consistency_proof(_reader(self.log), from_size, size) if 0 < from_size < size else []
        fields: dict[str, Any] = {
            "number": number,
            "token": TOKEN,
            "feed": FEED,
            "chain_id": CHAIN,
            "block_time": block_time,
            "checkpoint": checkpoint.sign(size, merkle.root(self.log), self.signer),
            "from_size": from_size,
            "consistency": tuple(proof),
        }
        return ReportRequest(**{**fields, **changes})

    def status(self, file_id: str) -> PaymentStatus:
        return pain.read_status(self.folder.read(folder.BANK_TO_ISSUER, folder.status_name(file_id)))

    def notices(self) -> list[Notice]:
        names = (name for name in self.folder.names(folder.BANK_TO_ISSUER) if folder.notice_of(name))
        return [read_notice(self.folder.read(folder.BANK_TO_ISSUER, name)) for name in sorted(names)]

    def entries(self, account: str) -> list[Entry]:
        return [entry for notice in self.notices() for entry in notice.entries if entry.account == account]

    def statements(self, account: str) -> list[Statement]:
        names = (name for name in self.folder.names(folder.BANK_TO_ISSUER) if folder.statement_of(name))
        found = [read_statement(self.folder.read(folder.BANK_TO_ISSUER, name)) for name in sorted(names)]
        return [statement for statement in found if statement.account == account]

    def report(self, number: int, directory: str = folder.BANK_TO_ISSUER) -> SignedReport:
        return folder.read_report(self.folder.read(directory, folder.report_name(number)))

    def refusal(self, number: int, directory: str = folder.BANK_TO_ISSUER) -> Refusal:
        return folder.read_refusal(self.folder.read(directory, folder.refusal_name(number)))

    def answered(self, number: int, directory: str) -> bool:
        names = self.folder.names(directory)
        return folder.report_name(number) in names or folder.refusal_name(number) in names


class Steps(Protocol):
    def step(self) -> int: ...


class Crowded(Folder):
    """Another process of the same party takes everything after a file is seen here and before it is read."""

    def __init__(self, path: Path, other: Steps) -> None:
        super().__init__(path)
        self.other = other

    def read(self, directory: str, name: str) -> bytes:
        self.other.step()
        return super().read(directory, name)


def _reader(log: list[bytes]) -> merkle.NodeReader:
    def node(level: int, index: int) -> bytes:
        return merkle.root(log[index << level : (index + 1) << level])

    return node
