"""The auditor: the second signer, who adds up the bank's notices by itself before it signs the bank's report.

* Notices are taken in the order of their numbers; a missing one is a gap, and nothing is signed over a gap.
* Every entry is added up to a reserve balance, the par paid and the money credited, after each notice.
* Statements must consist of noticed entries and end in the balance that they make.
* A report is signed when its figures, with what it leaves out, were true after some notice that is not older than the
  report's own time, and the issuer's log is proven to extend the one that was seen before.
* What contradicts itself is a finding: it stays, and stops signing until a person has looked.
"""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType

from issuer.clock import Clock
from issuer.errors import IssuerError, NotFound
from issuer.messages import camt, report
from issuer.messages import folder as documents
from issuer.messages.folder import (
    AUDITOR_KEY,
    AUDITOR_TO_ISSUER,
    BANK_KEY,
    BANK_TO_AUDITOR,
    ISSUER_TO_AUDITOR,
    KEYS,
    Refusal,
    ReportRequest,
)
from issuer.messages.report import Report, SignedReport
from issuer.mockbank import attestation, folder, home, reckoning
from issuer.mockbank.attestation import AttestationRefused, Figures
from issuer.mockbank.bank import COLLECTION, RESERVE, read_log_key, read_request, write_out
from issuer.mockbank.database import Database
from issuer.mockbank.home import AttestorKey, Home

_SCHEMA = (
    folder.SCHEMA
    + attestation.SCHEMA
    + reckoning.SCHEMA
    + """
CREATE TABLE IF NOT EXISTS finding (
    name TEXT PRIMARY KEY,
    what TEXT NOT NULL
) STRICT;
"""
)


class Auditor:
    """The auditor behind one bank folder. Use it as a context manager, or close it."""

    def __init__(self, where: Home, clock: Clock, key: AttestorKey | None) -> None:
        self.home = where
        self._clock = clock
        self._key = key
        self._reserve = where.settings["reserve"]
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
    ) -> "Auditor":
        """A new auditor of the issuer's two accounts. Raises Misconfigured or Conflict."""
        where = home.create(path, bank_folder, passphrase, {"collection": collection, "reserve": reserve})
        auditor = cls(where, clock, where.unlock(passphrase))
        auditor._publish_key()
        return auditor

    @classmethod
    def open(cls, path: Path, clock: Clock, passphrase: str | None = None) -> "Auditor":
        """Without a passphrase it can only be looked at. Raises NotFound or Misconfigured."""
        where = home.load(path)
        if not where.database.exists():
            raise NotFound(f"the auditor in {path} has no books", "Finish it with `mockbank auditor init`.")
        return cls(where, clock, None if passphrase is None else where.unlock(passphrase))

    @property
    def attestor(self) -> str:
        """The address that signs."""
        return self.home.address

    def step(self) -> int:
        """One pass; the number of files taken and written. Raises Misconfigured when it was opened without its key."""
        key = home.unlocked(self._key)
        self._publish_key()
        written = self._write()
        # The bank writes a notice before the statements and reports that include it, so they are listed first.
        requests = self._untaken(ISSUER_TO_AUDITOR)
        answers = self.home.folder.names(BANK_TO_AUDITOR)
        statements = self._untaken(BANK_TO_AUDITOR)
        taken = self._take_notices() + self._take_statements(statements)
        taken += sum(self._answer(key, name, set(answers)) for name in sorted(requests, key=_number))
        return written + taken + self._write()

    def figures(self) -> Figures:
        """What the notices taken so far add up to."""
        return reckoning.figures(self._database.connection)

    def findings(self) -> list[str]:
        """What contradicts itself, oldest first."""
        return [row["what"] for row in self._database.connection.execute("SELECT what FROM finding ORDER BY rowid")]

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "Auditor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _publish_key(self) -> None:
        if AUDITOR_KEY not in self.home.folder.names(KEYS):
            self.home.publish_key(AUDITOR_KEY)

    def _write(self) -> int:
        return write_out(self._database, self.home.folder, "auditor.written")

    def _untaken(self, directory: str) -> list[str]:
        return folder.untaken(self._database.connection, self.home.folder, directory)

    def _take_notices(self) -> int:
        """Take the notices that follow the last one taken, up to the first that is missing."""
        names = {documents.notice_of(name): name for name in self._untaken(BANK_TO_AUDITOR)}
        following = reckoning.last_notice(self._database.connection) + 1
        taken = 0
        while (name := names.get(following + taken)) is not None:
            self._take(name, partial(_add_up, following + taken, self._reserve))
            taken += 1
        return taken

    def _take_statements(self, names: list[str]) -> int:
        found = sorted(name for name in names if documents.statement_of(name) is not None)
        for name in found:
            self._take(name, _check_statement)
        return len(found)

    def _take(self, name: str, act: Callable[[sqlite3.Connection, bytes], None]) -> None:
        """Act on one of the bank's files, once; what is wrong with it is kept as a finding."""
        body = self.home.folder.read(BANK_TO_AUDITOR, name)
        with self._database.unit("auditor.take") as connection:
            if not folder.take(connection, BANK_TO_AUDITOR, name):
                return
            connection.execute("SAVEPOINT document")
            try:
                act(connection, body)
            except IssuerError as error:
                connection.execute("ROLLBACK TO document")
                connection.execute("INSERT INTO finding VALUES (?, ?)", (name, f"{name}: {error.what}"))

    def _answer(self, key: AttestorKey, name: str, answers: set[str]) -> int:
        """Answer a request that the bank has answered; what the bank refuses needs no second refusal."""
        number = documents.request_of(name)
        if number is None:
            return 0
        signed, refused = documents.report_name(number), documents.refusal_name(number)
        if signed not in answers and refused not in answers:
            return 0
        body = self.home.folder.read(ISSUER_TO_AUDITOR, name)
        report_body = self.home.folder.read(BANK_TO_AUDITOR, signed) if signed in answers else None
        with self._database.unit("auditor.attest") as connection:
            if folder.take(connection, ISSUER_TO_AUDITOR, name):
                self._attest(connection, key, number, body, report_body)
        return 1

    def _attest(
        self, connection: sqlite3.Connection, key: AttestorKey, number: int, body: bytes, report_body: bytes | None
    ) -> None:
        try:
            signed = self._sign(connection, key, number, body, report_body)
        except AttestationRefused as refused:
            refusal = Refusal(number=number, code=refused.code, reason=refused.reason)
            name, document = documents.refusal_name(number), documents.write_refusal(refusal)
        else:
            name, document = documents.report_name(number), documents.write_report(signed) if signed else b""
        if document:
            folder.send(connection, (AUDITOR_TO_ISSUER,), name, document)

    def _sign(
        self, connection: sqlite3.Connection, key: AttestorKey, number: int, body: bytes, report_body: bytes | None
    ) -> SignedReport | None:
        request = read_request(body, number)
        log_key = read_log_key(self.home.folder)
        attestation.pin(connection, "issuer's log key", log_key)
        log = attestation.witness(connection, request, log_key)
        if report_body is None:
            return None
        banks = self._read_report(connection, report_body, request)
        if (banks.report.log_root, banks.report.log_size) != ("0x" + log.root.hex(), log.size):
            raise AttestationRefused("report-differs", "the bank's report names another log than the request")
        self._check_books(connection)
        self._check_time(connection, banks, request)
        _check_figures(connection, banks.report, request.withheld)
        attestation.record(connection, banks.report, request)
        return report.sign(banks.report, request.chain_id, request.feed, key.address, key.sign)

    def _read_report(self, connection: sqlite3.Connection, body: bytes, request: ReportRequest) -> SignedReport:
        """The bank's report on this request, under the bank's own signature."""
        try:
            bank = documents.read_attestor(self.home.folder.read(KEYS, BANK_KEY))
            found = documents.read_report(body)
            signer = report.recover(found)
        except IssuerError as error:
            raise AttestationRefused("malformed-report", error.what) from error
        attestation.pin(connection, "bank's attestor key", bank)
        if not signer == found.signer == bank:
            raise AttestationRefused("forged-report", "the report is not signed by the bank")
        asked = (request.number, request.token, request.chain_id, request.feed)
        if (found.report.number, found.report.token, found.chain_id, found.feed) != asked:
            raise AttestationRefused("report-differs", "the bank's report answers another request")
        attestation.check_follows(connection, request)
        return found

    def _check_books(self, connection: sqlite3.Connection) -> None:
        found = self.findings()
        if found:
            raise AttestationRefused("finding", found[0])
        following = reckoning.last_notice(connection) + 1
        later = [number for name in self._untaken(BANK_TO_AUDITOR) if (number := documents.notice_of(name))]
        # A notice that came after the others were taken is later than the report; asked for by name, it is there.
        if later and documents.notice_name(following) not in self.home.folder.names(BANK_TO_AUDITOR):
            raise AttestationRefused("gap", f"notice {following} is missing and notice {min(later)} is there")

    def _check_time(self, connection: sqlite3.Connection, banks: SignedReport, request: ReportRequest) -> None:
        as_of = banks.report.as_of
        attestation.check_later(connection, as_of)
        if as_of > min(self._clock.now(), request.block_time):
            raise AttestationRefused("future", "the bank's report is as of a time that has not come")


def _add_up(sequence: int, reserve_account: str, connection: sqlite3.Connection, body: bytes) -> None:
    reckoning.add_up(connection, camt.read_notice(body), sequence, reserve_account)


def _check_statement(connection: sqlite3.Connection, body: bytes) -> None:
    reckoning.check_statement(connection, camt.read_statement(body))


def _number(name: str) -> int:
    return documents.request_of(name) or 0


def _check_figures(connection: sqlite3.Connection, found: Report, withheld: int) -> None:
    told = Figures(reserve=found.reserve + withheld, paid=found.paid, credited=found.credited + withheld)
    if not reckoning.held(connection, found.number, told, found.as_of):
        own = reckoning.figures(connection)
        sums = f"reserve {own.reserve}, paid {own.paid}, credited {own.credited} units, less {withheld}"
        raise AttestationRefused("figures-differ", f"the notices make {sums}")
