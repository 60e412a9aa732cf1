"""The inbox: the bank's and the auditor's files become facts, each file once, notices in the order of their numbers.

A file that cannot be read is a fact too, and is not taken: it is looked at again in every step, until the bank has
put it there whole. Notices after it wait for it as they wait for one that is missing, or its entries would be lost.

What the bank has told once it may tell again, and only so: a booking or a statement that comes with other contents is
not taken, which is a fact. Money is the bank's to tell: of the auditor only reports and refusals are read.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import Any

from sqlalchemy import bindparam, select

from issuer.bank.folder import BankFolder
from issuer.errors import InvalidInput, MalformedDocument, Unreachable
from issuer.messages import camt, iso20022, pain
from issuer.messages import folder as documents
from issuer.messages.camt import Entry, Side
from issuer.messages.report import SignedReport, recover
from issuer.store import facts
from issuer.store.facts import News
from issuer.store.inserts import insert_new
from issuer.store.states import Door
from issuer.store.tables import received
from issuer.store.unit import Store, Unit

_SIGNERS = {documents.BANK_TO_ISSUER: "bank", documents.AUDITOR_TO_ISSUER: "auditor"}
_TOGETHER = 100
"""Files taken in one unit of work; it bounds the memory and the time for which others wait."""

_MATERIAL = ("direction", "amount_fen", "reversal", "counterparty_account", "end_to_end_id")
"""What an entry may not say otherwise when it is told again; its time and texts may be cut or rounded."""

_TAKEN = select(received.c.name).where(received.c.folder == bindparam("source"))


@dataclass(frozen=True, kw_only=True)
class Document:
    """A file that can be read, not taken yet."""

    name: str
    digest: str  # SHA-256 of its bytes
    news: list[News]


class Inbox:
    """Takes what bank and auditor have written for the issuer."""

    def __init__(self, store: Store, folder: BankFolder) -> None:
        self._store = store
        self._folder = folder
        self._taken: dict[str, set[str]] = {source: set() for source in _SIGNERS}

    def collect(self) -> int:
        """Turn new files into facts; the number of files taken."""
        return sum(self._collect(source) for source in _SIGNERS)

    def gap(self) -> str | None:
        """The first notice that lies there and waits for one before it, or for being whole; None without one."""
        source = documents.BANK_TO_ISSUER
        names = self._folder.names(source)
        with self._store.read() as connection:
            known = set(connection.scalars(_TAKEN, {"source": source}))
        return min((name for name in names if _notice_of(source, name) is not None and name not in known), default=None)

    def _collect(self, source: str) -> int:
        taken = 0
        for some in _together(self._documents(source)):
            self._take(source, some)
            taken += len(some)
        return taken

    def _documents(self, source: str) -> Iterator[Document]:
        """The new files that can be read; of the notices only those before the first that cannot."""
        notices, others = self._new_names(source)
        before = takewhile(lambda found: found is not None, (self._document(source, name) for name in notices))
        after = (self._document(source, name) for name in others)
        return (found for found in chain(before, after) if found is not None)

    def _new_names(self, source: str) -> tuple[list[str], list[str]]:
        """The files not taken yet: the notices that follow the last one taken, and all others."""
        names = self._folder.names(source)
        # What was taken once stays taken, so the database is asked only when there is a name to look for.
        if not self._taken[source].issuperset(names):
            with self._store.read() as connection:
                self._taken[source] = set(connection.scalars(_TAKEN, {"source": source}))
        known = self._taken[source]
        others = [name for name in names if name not in known and _notice_of(source, name) is None]
        if others:
            # A listing is no view of one moment: by a second one, the notices are seen that came before a statement.
            names = self._folder.names(source)
        notices = [name for name in names if _notice_of(source, name) is not None]
        return list(_consecutive((name for name in notices if name not in known), _notices(known))), others

    def _document(self, source: str, name: str) -> Document | None:
        """One file; None if it cannot be read, which is told."""
        body = self._folder.read(source, name)
        digest = "0x" + hashlib.sha256(body).hexdigest()
        try:
            news = _read(source, name, body)
        except MalformedDocument as error:
            self._tell_malformed(source, name, digest, error.what)
            return None
        return Document(name=name, digest=digest, news=news)

    def _take(self, source: str, found: Sequence[Document]) -> None:
        with self._store.unit("take documents") as unit:
            taken = [item for item in found if _claim(unit, source, item)]
            # Asked for now: who has claimed others meanwhile has brought their facts.
            known = facts.told(unit.connection, Door.BANK, _asked(taken))
            for item in taken:
                news = _consistent(item, known)
                facts.bring(unit, Door.BANK, news)
                known |= {each.key: each.payload for each in news}

    def _tell_malformed(self, source: str, name: str, digest: str, what: str) -> None:
        # Both are a stranger's, and must fit into a record of the log, which is text.
        path, what = (iso20022.printable(text, documents.LONGEST_REASON) for text in (f"{source}/{name}", what))
        holds_up = _notice_of(source, name) is not None
        key = f"malformed:{path}:{digest}"
        with self._store.read() as connection:
            if holds_up:
                key += f":{facts.clearings(connection)}"  # as long as others wait for it, somebody must know
            if facts.known(connection, Door.BANK, key):
                return
        told = {"name": path, "digest": digest, "what": what, "holds_up": holds_up}
        with self._store.unit("tell a malformed document") as unit:
            facts.bring(unit, Door.BANK, [News(key=key, kind="malformed", payload=told)])


def _claim(unit: Unit, source: str, found: Document) -> bool:
    """Take a document; False if another process of ours has, whose unit is waited for."""
    values = {"folder": source, "name": found.name, "digest": found.digest, "at": unit.now}
    claimed = insert_new(unit.connection, received).values(values).returning(received.c.name)
    return unit.connection.execute(claimed).scalar() is not None


def _together(found: Iterable[Document]) -> Iterator[list[Document]]:
    """Some documents at a time; at one that the folder does not give, those before it, and then its error."""
    some: list[Document] = []
    try:
        for item in found:
            some.append(item)
            if len(some) == _TOGETHER:
                yield some
                some = []
    except Unreachable:
        if some:
            yield some
        raise
    if some:
        yield some


def _notice_of(source: str, name: str) -> int | None:
    """The number of a notice; the auditor sends none."""
    return documents.notice_of(name) if source == documents.BANK_TO_ISSUER else None


def _notices(names: Iterable[str]) -> int:
    """How many notices were taken: they are numbered from 1 without a gap."""
    return sum(1 for name in names if documents.notice_of(name) is not None)


def _consecutive(names: Iterable[str], taken: int) -> Iterator[str]:
    """The notices that follow the last one taken; one that came before its predecessor waits for it."""
    numbered = sorted((number, name) for name in names if (number := documents.notice_of(name)) is not None)
    for number, name in numbered:
        taken += 1
        if number != taken:
            return
        yield name


def _read(source: str, name: str, body: bytes) -> list[News]:
    """A document's facts. Raises MalformedDocument."""
    if not name.isascii():
        raise MalformedDocument("its name is not ASCII, as all names are here")
    if documents.report_of(name) is not None:
        return [_report(documents.read_report(body))]
    if name.startswith("refusal-"):
        return [_refusal(_SIGNERS[source], documents.read_refusal(body))]
    if source == documents.BANK_TO_ISSUER and (news := _read_banking(name, body)) is not None:
        return news
    raise MalformedDocument(f"{name} is no kind of document that is expected here")


def _read_banking(name: str, body: bytes) -> list[News] | None:
    """What only the bank tells; None for another kind of document. Raises MalformedDocument."""
    if (number := documents.notice_of(name)) is not None:
        notice = camt.read_notice(body)
        _require_number(number, notice.sequence)
        return [_entry(entry) for entry in notice.entries if entry.booked]
    if (number := documents.statement_of(name)) is not None:
        statement = camt.read_statement(body)
        _require_number(number, statement.sequence)
        return [_statement(statement)]
    return [_status(pain.read_status(body))] if name.startswith("pain.002-") else None


def _require_number(named: int, told: int) -> None:
    if named != told:
        raise MalformedDocument(f"its name says number {named}, and it says {told}")


def _asked(found: Sequence[Document]) -> list[str]:
    """The keys by which documents' facts may be known: of a booking also those of one detail more."""
    parts = [(name, part) for item in found for name, part in _parts(item).items()]
    return [key for name, part in parts for key in (*(news.key for news in part), f"{name}|{len(part)}")]


def _parts(found: Document) -> dict[str, list[News]]:
    """What is believed together or not at all: the details of a booking, or one fact."""
    parts = defaultdict[str, list[News]](list)
    for news in found.news:
        parts[news.key.rpartition("|")[0] if news.kind == "entry" else news.key].append(news)
    return parts


def _consistent(found: Document, known: Mapping[str, dict[str, Any]]) -> list[News]:
    """The facts of a document, but for what was told otherwise before: that is a fact of its own."""
    news = list[News]()
    for name, part in _parts(found).items():
        is_new = part[0].key not in known
        is_same = f"{name}|{len(part)}" not in known and all(_is_as_told(item, known.get(item.key)) for item in part)
        news += part if is_new or is_same else [_contradiction(name, found)]
    return news


def _is_as_told(item: News, before: Mapping[str, Any] | None) -> bool:
    names = _MATERIAL if item.kind == "entry" else item.payload
    return before is not None and all(before[name] == item.payload[name] for name in names)


def _contradiction(name: str, found: Document) -> News:
    payload = {"name": found.name, "what": name}
    return News(key=f"contradiction:{name}:{found.digest}", kind="contradiction", payload=payload)


def _key(entry: Entry) -> str:
    return f"{entry.account}|{entry.reference}|{entry.detail}"


def _entry(entry: Entry) -> News:
    payload = {
        "account": entry.account,
        "direction": "credit" if entry.side is Side.CREDIT else "debit",
        "amount_fen": entry.amount_fen,
        "counterparty_name": entry.counterparty_name,
        "counterparty_account": entry.counterparty_account,
        "end_to_end_id": entry.end_to_end_id,
        "reversal": entry.reversal,
        "text": entry.text,
        "booked_at": entry.booked_at,
    }
    return News(key=_key(entry), kind="entry", payload=payload)


def _statement(statement: camt.Statement) -> News:
    payload = {
        "account": statement.account,
        "sequence": statement.sequence,
        "opening_fen": statement.opening_fen,
        "closing_fen": statement.closing_fen,
        "until": statement.end,
        "entries": {_key(entry): entry.change_fen for entry in statement.entries if entry.booked},
    }
    return News(key=f"statement:{statement.sequence}", kind="statement", payload=payload)


def _status(status: pain.PaymentStatus) -> News:
    payload = {
        "message_id": status.original_message_id,
        "accepted": not status.rejected,
        "code": status.code,
        "reason": status.text,
    }
    return News(key=f"status:{status.message_id}", kind="status", payload=payload)


def _report(signed: SignedReport) -> News:
    """Raises MalformedDocument unless the named signer has signed exactly this."""
    try:
        genuine = recover(signed) == signed.signer
    except InvalidInput as error:
        raise MalformedDocument(error.what) from error
    if not genuine:
        raise MalformedDocument("the signature is not its signer's")
    payload = {
        "number": signed.report.number,
        "chain_id": signed.chain_id,
        "feed": signed.feed,
        "signer": signed.signer,
        "report": signed.report.message,
        "signature": signed.signature,
    }
    return News(key=f"report:{signed.report.number}:{signed.signer}", kind="report", payload=payload)


def _refusal(by: str, refusal: documents.Refusal) -> News:
    payload = {"number": refusal.number, "by": by, "code": refusal.code, "reason": refusal.reason}
    return News(key=f"refusal:{refusal.number}:{by}", kind="refusal", payload=payload)
