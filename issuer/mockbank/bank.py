"""The bank: one pass takes what lies in its directory, books it, and writes what is to be said.

Each file is taken in the unit of work that acts on it; what that unit wants to say are rows, which become files after
it. Days end before anything of a new day is booked.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType

from issuer.clock import Clock
from issuer.errors import BrokenInvariant, InvalidInput, MalformedDocument, NotFound
from issuer.messages import folder as documents
from issuer.messages import pain, report
from issuer.messages.camt import Statement
from issuer.messages.folder import BANK_KEY, BANK_TO_AUDITOR, BANK_TO_ISSUER, ISSUER_KEY, ISSUER_TO_BANK, KEYS, Refusal
from issuer.mockbank import attestation, books, folder, home, notices, orders, statements, wires
from issuer.mockbank.attestation import AttestationRefused, Figures
from issuer.mockbank.books import REPORTED, Account, Role
from issuer.mockbank.database import COUNTERS, Database
from issuer.mockbank.home import AttestorKey, Home
from issuer.money import UNITS_PER_FEN

COLLECTION = "012875000000001"
RESERVE = "012875000000002"
OPERATING = "012875000000003"

_SCHEMA = "".join(
    (COUNTERS, folder.SCHEMA, books.SCHEMA, orders.SCHEMA, wires.SCHEMA, statements.SCHEMA, attestation.SCHEMA)
)
_NAMES = {Role.COLLECTION: "Collection", Role.RESERVE: "Reserve", Role.OPERATING: "Operating"}


class Bank:
    """The bank behind one folder. Use it as a context manager, or close it."""

    def __init__(self, where: Home, clock: Clock, key: AttestorKey | None) -> None:
        self.home = where
        self._clock = clock
        self._key = key
        self._database = Database(where.database, _SCHEMA)

    @classmethod
    def create(
        cls,
        path: Path,
        bank_folder: Path,
        clock: Clock,
        passphrase: str,
        *,
        collection: str = COLLECTION,
        reserve: str = RESERVE,
        operating: str = OPERATING,
        operating_fen: int = 0,
    ) -> "Bank":
        """A new bank with the issuer's three accounts, or one whose creation was interrupted, finished.

        `operating_fen` is the issuer's own money at the start. Raises InvalidInput, Misconfigured, or Conflict.
        """
        numbers = {Role.COLLECTION: collection, Role.RESERVE: reserve, Role.OPERATING: operating}
        if len(set(numbers.values())) < len(numbers):
            raise InvalidInput("two of the issuer's accounts have one number", "Give three different numbers.")
        settings = {role.value: number for role, number in numbers.items()}
        where = home.create(path, bank_folder, passphrase, settings)
        bank = cls(where, clock, where.unlock(passphrase))
        bank._open_books(numbers, operating_fen)
        return bank

    @classmethod
    def open(cls, path: Path, clock: Clock, passphrase: str | None = None) -> "Bank":
        """Without a passphrase it books and does not step, because it cannot sign. Raises NotFound or Misconfigured."""
        where = home.load(path)
        if not where.database.exists():
            raise NotFound(f"the bank in {path} has no books", "Finish it with `mockbank init`.")
        return cls(where, clock, None if passphrase is None else where.unlock(passphrase))

    @property
    def attestor(self) -> str:
        """The address that signs its reports."""
        return self.home.address

    def step(self) -> int:
        """One pass; the number of files taken and written. Raises Misconfigured when it was opened without its key."""
        key = home.unlocked(self._key)
        self._publish_key()
        written = self._write()
        if statements.due(self._database.connection, self._clock.now()):
            with self._unit("bank.day"):
                pass
        taken = self._take(documents.order_of, self._execute)
        taken += self._take(documents.request_of, partial(self._attest, key))
        return written + taken + self._write()

    def wire(self, from_account: str, name: str, amount_fen: int, text: str = "") -> str:
        """A customer pays into the collection account; the booking's reference. Raises InvalidInput or Refused."""
        with self._unit("bank.wire") as (connection, now):
            reference = wires.wire(connection, from_account, name, amount_fen, text, now)
            notices.announce(connection, reference, now)
        self._write()
        return reference

    def recall(self, reference: str) -> str:
        """A wire goes back to its sender; the reversal's reference. See `wires.recall` for what it raises."""
        with self._unit("bank.recall") as (connection, now):
            reversal = wires.recall(connection, reference, now)
            notices.announce(connection, reversal, now)
        self._write()
        return reversal

    def give_back(self, *, redemption_id: int | None = None, end_to_end_id: str | None = None) -> str:
        """A payout comes back; the reversal's reference. See `orders.give_back` for what it raises."""
        with self._unit("bank.return") as (connection, now):
            reversal = orders.give_back(connection, redemption_id=redemption_id, end_to_end_id=end_to_end_id, at=now)
            notices.announce(connection, reversal, now)
        self._write()
        return reversal

    def open_account(self, number: str, name: str, balance_fen: int = 0) -> None:
        """A customer's account at this bank, with money from the outside. Raises Conflict or InvalidInput."""
        with self._unit("bank.open") as (connection, now):
            books.open_account(connection, number, name)
            if balance_fen:
                books.deposit(connection, number, balance_fen, now)

    def close_account(self, number: str) -> None:
        """Payments to a customer's account are rejected from now on. Raises NotFound or Refused."""
        with self._unit("bank.close") as (connection, _):
            books.close_account(connection, number)

    def statement(self, number: str | None = None) -> list[Statement]:
        """Statements up to now, of one of the two reported accounts or of both. Raises InvalidInput."""
        with self._unit("bank.statement") as (connection, now):
            accounts = [books.of_role(connection, role) for role in REPORTED]
            wanted = [account for account in accounts if number in (None, account.number)]
            if not wanted:
                raise InvalidInput(f"no statements are drawn of {number}", "Name the collection or reserve account.")
            drawn = [statements.draw(connection, account, now, now) for account in wanted]
        self._write()
        return drawn

    def accounts(self) -> list[Account]:
        """Every account with its booked balance; their sum is always zero."""
        return books.every(self._database.connection)

    def figures(self) -> Figures:
        """What the bank attests of the reserve account now."""
        return _figures(self._database.connection)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "Bank":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _unit(self, name: str) -> Iterator[tuple[sqlite3.Connection, int]]:
        """A unit of work at the bank's own time, which never runs back; days that have ended are closed first."""
        with self._database.unit(name) as connection:
            now = _advance(connection, self._clock.now())
            statements.end_days(connection, now)
            yield connection, now

    def _open_books(self, numbers: dict[Role, str], operating_fen: int) -> None:
        with self._database.unit("bank.create") as connection:
            if not books.every(connection):
                now = _advance(connection, self._clock.now())
                books.open_account(connection, books.CLEARING, books.CLEARING, Role.CLEARING)
                for role, number in numbers.items():
                    books.open_account(connection, number, _NAMES[role], role)
                if operating_fen:
                    books.deposit(connection, numbers[Role.OPERATING], operating_fen, now)
                for role in REPORTED:
                    statements.begin(connection, books.of_role(connection, role), now)
        self._publish_key()

    def _publish_key(self) -> None:
        if BANK_KEY not in self.home.folder.names(KEYS):
            self.home.publish_key(BANK_KEY)

    def _take(
        self, subject: Callable[[str], object], act: Callable[[sqlite3.Connection, str, bytes, int], None]
    ) -> int:
        """Act on each new file whose name has a subject, oldest name first; the number taken."""
        names = folder.untaken(self._database.connection, self.home.folder, ISSUER_TO_BANK)
        taken = 0
        for name in names:
            if subject(name) is None:
                continue
            body = self.home.folder.read(ISSUER_TO_BANK, name)
            with self._unit("bank.take") as (connection, now):
                if folder.take(connection, ISSUER_TO_BANK, name):
                    act(connection, name, body, now)
                    taken += 1
        return taken

    def _execute(self, connection: sqlite3.Connection, name: str, body: bytes, now: int) -> None:
        file_id = str(documents.order_of(name))
        status, reference = orders.execute(connection, file_id, body, now)
        folder.send(connection, (BANK_TO_ISSUER,), documents.status_name(file_id), pain.write_status(status))
        if reference is not None:
            notices.announce(connection, reference, now)

    def _attest(self, key: AttestorKey, connection: sqlite3.Connection, name: str, body: bytes, now: int) -> None:
        number = int(documents.request_of(name) or 0)
        try:
            answer, document = documents.report_name(number), self._sign(key, connection, number, body, now)
        except AttestationRefused as refused:
            refusal = Refusal(number=number, code=refused.code, reason=refused.reason)
            answer, document = documents.refusal_name(number), documents.write_refusal(refusal)
        folder.send(connection, (BANK_TO_ISSUER, BANK_TO_AUDITOR), answer, document)

    def _sign(self, key: AttestorKey, connection: sqlite3.Connection, number: int, body: bytes, now: int) -> bytes:
        request = read_request(body, number)
        log_key = read_log_key(self.home.folder)
        attestation.pin(connection, "issuer's log key", log_key)
        log = attestation.witness(connection, request, log_key)
        found = attestation.compose(connection, request, log, _figures(connection), now)
        attestation.record(connection, found, request)
        signed = report.sign(found, request.chain_id, request.feed, key.address, key.sign)
        return documents.write_report(signed)

    def _write(self) -> int:
        return write_out(self._database, self.home.folder, "bank.written")


def read_request(body: bytes, number: int) -> documents.ReportRequest:
    """The request in a file that names a number. Raises AttestationRefused."""
    try:
        request = documents.read_request(body)
    except MalformedDocument as error:
        raise AttestationRefused("malformed", error.what) from error
    if request.number != number:
        raise AttestationRefused("malformed", f"the file of request {number} carries number {request.number}")
    return request


def read_log_key(where: folder.Folder) -> str:
    """The issuer's log key, as it stands in the bank folder. Raises AttestationRefused when there is none."""
    if ISSUER_KEY not in where.names(KEYS):
        raise AttestationRefused("unknown-log", "the issuer has not published its log key")
    try:
        return documents.read_log_key(where.read(KEYS, ISSUER_KEY))
    except MalformedDocument as error:
        raise AttestationRefused("unknown-log", error.what) from error


def write_out(database: Database, where: folder.Folder, name: str) -> int:
    """Write the queued files in their order; the number written."""
    rows = folder.waiting(database.connection)
    for row in rows:
        where.write(row["directory"], row["name"], row["body"])
    if rows:
        with database.unit(name) as connection:
            folder.mark_written(connection, rows)
    return len(rows)


def _figures(connection: sqlite3.Connection) -> Figures:
    balance = books.of_role(connection, Role.RESERVE).balance_fen
    if sum(account.balance_fen for account in books.every(connection)) != 0:
        raise BrokenInvariant("the bank's accounts do not sum to zero")
    return Figures(
        reserve=balance * UNITS_PER_FEN, paid=orders.paid_units(connection), credited=orders.credited_units(connection)
    )


def _advance(connection: sqlite3.Connection, now: int) -> int:
    """The bank's time: the clock's, or the last one used if the clock was set back."""
    statement = """
        INSERT INTO counter (name, value) VALUES ('time', ?)
        ON CONFLICT (name) DO UPDATE SET value = MAX(value, excluded.value) RETURNING value
    """
    return int(connection.execute(statement, (now,)).fetchone()["value"])
