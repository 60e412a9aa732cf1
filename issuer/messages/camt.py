"""What the bank says of an account: notices (camt.054.001.08) and statements (camt.053.001.08).

An entry here is one detail of one booking: it is known for ever by account, servicer's reference and detail index, in
whichever message it comes. Only booked entries count; a pending one announces.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any

from issuer.errors import InvalidInput, MalformedDocument
from issuer.messages import iso20022
from issuer.messages.iso20022 import only, required
from issuer.messages.pain import (
    LONGEST_NAME,
    LONGEST_TEXT,
    OrderKind,
    Redemption,
    read_account,
    read_kind,
    read_redemption,
    read_text,
    write_account,
    write_amount,
    write_remittance,
)

NOTICE = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"
STATEMENT = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"

_BOOKED, _PENDING = "BOOK", "PDNG"
_OPENING, _CLOSING = "OPBD", "CLBD"
_NOT_PROVIDED = "NOTPROVIDED"


class Side(StrEnum):
    CREDIT = "CRDT"  # the account grew
    DEBIT = "DBIT"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One detail of one booking on an account of the issuer. Raises InvalidInput when a rule is broken."""

    account: str
    reference: str  # the servicer's, of the booking
    detail: int  # index of this detail in the booking, from 0
    side: Side
    amount_fen: int  # what moved on this account: of a REDEEM debit the payout and the fee together
    booked_at: int | None  # seconds since 1970 UTC; None while pending
    counterparty_name: str = ""  # empty when the bank does not tell
    counterparty_account: str = ""
    end_to_end_id: str | None = None
    kind: OrderKind | None = None  # None for a payment that the issuer did not order
    redemption: Redemption | None = None  # exactly when the kind is REDEEM
    text: str = ""
    reversal: bool = False  # the money of an earlier entry goes back, as when a payout is returned

    def __post_init__(self) -> None:
        iso20022.check_account(self.account, "the account")
        iso20022.check_reference(self.reference, "the servicer's reference")
        if self.booked_at is not None:
            iso20022.check_time(self.booked_at, "the booking time")
        self._check_counterparty()
        if self.end_to_end_id is not None:
            iso20022.check_reference(self.end_to_end_id, "the end-to-end id")
        iso20022.check_fen(self.amount_fen, "the amount", smallest=0 if self.redemption else 1)
        iso20022.check_text(self.text, "the text", LONGEST_TEXT)
        if (self.kind is OrderKind.REDEEM) != (self.redemption is not None):
            raise InvalidInput("an entry has a redemption and is none, or the other way round")

    def _check_counterparty(self) -> None:
        iso20022.check_text(self.counterparty_name, "the counterparty's name", LONGEST_NAME)
        if self.counterparty_account:
            iso20022.check_account(self.counterparty_account, "the counterparty's account")

    @property
    def booked(self) -> bool:
        return self.booked_at is not None

    @property
    def change_fen(self) -> int:
        """The signed change of the account's booked balance."""
        if not self.booked:
            return 0
        return self.amount_fen if self.side is Side.CREDIT else -self.amount_fen


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A camt.054: what was just booked, or is pending, on one account."""

    sequence: int  # gapless over all notices of the folder, from 1
    created: int  # seconds since 1970 UTC
    account: str
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        _check_sequence(self.sequence)
        iso20022.check_time(self.created, "the creation time")
        if not self.entries:
            raise InvalidInput("a notice has at least one entry")
        _check_entries(self.account, self.entries)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A camt.053: every entry booked on one account in a period, between two balances that they explain."""

    sequence: int  # gapless over all statements of the folder, from 1
    created: int  # seconds since 1970 UTC
    account: str
    start: int  # seconds since 1970 UTC, of the period
    end: int
    opening_fen: int  # booked; negative when overdrawn
    closing_fen: int
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        _check_sequence(self.sequence)
        for moment in (self.created, self.start, self.end):
            iso20022.check_time(moment, "a time of the statement")
        if self.end < self.start:
            raise InvalidInput("the statement's period ends before it starts")
        iso20022.check_fen(abs(self.opening_fen), "the opening balance", smallest=0)
        iso20022.check_fen(abs(self.closing_fen), "the closing balance", smallest=0)
        _check_entries(self.account, self.entries)
        self._check_sum()

    def _check_sum(self) -> None:
        moved = sum(entry.change_fen for entry in self.entries)
        if self.opening_fen + moved != self.closing_fen:
            raise InvalidInput(
                f"opening {self.opening_fen} fen and entries of {moved} fen do not make the closing "
                f"{self.closing_fen} fen",
                "Ask the bank for the whole statement again: an entry is missing, doubled or changed.",
            )


def read_notice(document: bytes) -> Notice:
    """The notice in a camt.054. Raises MalformedDocument."""
    with iso20022.reading("camt.054"):
        root = iso20022.read(document, NOTICE).bk_to_cstmr_dbt_cdt_ntfctn
        body = only(root.ntfctn, "Ntfctn")
        account = read_account(body.acct, "Acct")
        return Notice(
            sequence=_sequence(body),
            created=iso20022.to_seconds(root.grp_hdr.cre_dt_tm),
            account=account,
            entries=_read_entries(account, body.ntry),
        )


def write_notice(notice: Notice) -> bytes:
    """The notice as a camt.054."""
    types = iso20022.types(NOTICE)
    created = iso20022.to_moment(notice.created)
    body = types.AccountNotification17(
        id=str(notice.sequence),
        elctrnc_seq_nb=iso20022.count(notice.sequence),
        cre_dt_tm=created,
        acct=_write_own_account(types, notice.account),
        ntry=_write_entries(types, notice.entries),
    )
    header = types.GroupHeader81(msg_id=f"NOTICE-{notice.sequence}", cre_dt_tm=created)
    message = types.BankToCustomerDebitCreditNotificationV08(grp_hdr=header, ntfctn=[body])
    return iso20022.write(types.Document(bk_to_cstmr_dbt_cdt_ntfctn=message), NOTICE)


def read_statement(document: bytes) -> Statement:
    """The statement in a camt.053. Raises MalformedDocument, also when the entries do not explain the balances."""
    with iso20022.reading("camt.053"):
        root = iso20022.read(document, STATEMENT).bk_to_cstmr_stmt
        body = only(root.stmt, "Stmt")
        account = read_account(body.acct, "Acct")
        period = required(body.fr_to_dt, "FrToDt")
        return Statement(
            sequence=_sequence(body),
            created=iso20022.to_seconds(root.grp_hdr.cre_dt_tm),
            account=account,
            start=iso20022.to_seconds(period.fr_dt_tm),
            end=iso20022.to_seconds(period.to_dt_tm),
            opening_fen=_read_balance(body.bal, _OPENING),
            closing_fen=_read_balance(body.bal, _CLOSING),
            entries=_read_entries(account, body.ntry),
        )


def write_statement(statement: Statement) -> bytes:
    """The statement as a camt.053."""
    types = iso20022.types(STATEMENT)
    created = iso20022.to_moment(statement.created)
    body = types.AccountStatement9(
        id=str(statement.sequence),
        elctrnc_seq_nb=iso20022.count(statement.sequence),
        cre_dt_tm=created,
        fr_to_dt=types.DateTimePeriod1(
            fr_dt_tm=iso20022.to_moment(statement.start), to_dt_tm=iso20022.to_moment(statement.end)
        ),
        acct=_write_own_account(types, statement.account),
        bal=[
            _write_balance(types, _OPENING, statement.opening_fen, statement.start),
            _write_balance(types, _CLOSING, statement.closing_fen, statement.end),
        ],
        ntry=_write_entries(types, statement.entries),
    )
    header = types.GroupHeader81(msg_id=f"STATEMENT-{statement.sequence}", cre_dt_tm=created)
    message = types.BankToCustomerStatementV08(grp_hdr=header, stmt=[body])
    return iso20022.write(types.Document(bk_to_cstmr_stmt=message), STATEMENT)


def _check_sequence(sequence: int) -> None:
    if not 1 <= sequence <= iso20022.MAX_NUMBER:
        raise InvalidInput(f"{sequence} is not a sequence number", "Number the messages from 1.")


def _check_entries(account: str, entries: tuple[Entry, ...]) -> None:
    iso20022.check_account(account, "the account")
    references = [key[0] for key, _ in groupby(entries, _booking)]
    if len(set(references)) != len(references):
        raise InvalidInput("a booking stands twice, or its details differ in side, status or time")
    for _, details in groupby(entries, _booking):
        if any(entry.detail != index for index, entry in enumerate(details)):
            raise InvalidInput("the details of a booking are not numbered from 0 in order")
    if any(entry.account != account for entry in entries):
        raise InvalidInput("an entry belongs to another account")


def _booking(entry: Entry) -> tuple[str, Side, int | None, bool]:
    return entry.reference, entry.side, entry.booked_at, entry.reversal


def _sequence(body: Any) -> int:
    return int(required(body.elctrnc_seq_nb, "ElctrncSeqNb"))


def _write_own_account(types: Any, number: str) -> Any:
    other = types.GenericAccountIdentification1(id=number)
    choice = types.AccountIdentification4Choice(othr=other)
    return types.CashAccount39(id=choice, ccy=iso20022.CURRENCY)


def _read_balance(balances: list[Any], code: str) -> int:
    balance = only([each for each in balances if each.tp.cd_or_prtry.cd == code], f"Bal {code}")
    fen = iso20022.to_fen(balance.amt)
    return -fen if balance.cdt_dbt_ind.value == Side.DEBIT else fen


def _write_balance(types: Any, code: str, fen: int, at: int) -> Any:
    side = Side.DEBIT if fen < 0 else Side.CREDIT
    choice = types.BalanceType10Choice(cd=code)
    return types.CashBalance8(
        tp=types.BalanceType13(cd_or_prtry=choice),
        amt=write_amount(types, abs(fen)),
        cdt_dbt_ind=types.CreditDebitCode(side.value),
        dt=types.DateAndDateTime2Choice(dt=iso20022.to_date(at)),
    )


def _read_entries(account: str, bookings: list[Any]) -> tuple[Entry, ...]:
    return tuple(entry for booking in bookings for entry in _read_booking(account, booking))


def _read_booking(account: str, booking: Any) -> list[Entry]:
    details = [each for group in booking.ntry_dtls for each in group.tx_dtls] or [None]
    entries = [_read_entry(account, booking, index, each) for index, each in enumerate(details)]
    _check_detail_amounts(booking, details, entries)
    return entries


def _check_detail_amounts(booking: Any, details: list[Any], entries: list[Entry]) -> None:
    if len(details) > 1 and any(each.amt is None for each in details):
        raise MalformedDocument("TxDtls/Amt is missing in a booking with several details")
    if sum(entry.amount_fen for entry in entries) != iso20022.to_fen(booking.amt):
        raise MalformedDocument("the details of a booking do not add up to its amount")
    if any(each is not None and each.cdt_dbt_ind not in (None, booking.cdt_dbt_ind) for each in details):
        raise MalformedDocument("a detail is on the other side than its booking")


def _read_entry(account: str, booking: Any, index: int, detail: Any) -> Entry:
    side, reversal = Side(booking.cdt_dbt_ind.value), bool(booking.rvsl_ind)
    fields = {} if detail is None else _read_detail(detail, _paid_in(side, reversal))
    amount = booking.amt if detail is None or detail.amt is None else detail.amt
    return Entry(
        account=account,
        reference=required(booking.acct_svcr_ref, "AcctSvcrRef"),
        detail=index,
        side=side,
        amount_fen=iso20022.to_fen(amount),
        booked_at=_read_booked_at(booking),
        reversal=reversal,
        **fields,
    )


def _read_detail(detail: Any, paid_in: bool) -> dict[str, Any]:
    """What the payer has written is taken as far as it fits: no stranger makes a bank's notice unreadable."""
    kind = _read_kind(detail.purp, paid_in)
    name, account = _read_counterparty(detail.rltd_pties, paid_in)
    return {
        "counterparty_name": name,
        "counterparty_account": account,
        "end_to_end_id": _read_end_to_end_id(detail.refs),
        "kind": kind,
        "redemption": read_redemption(detail.rmt_inf) if kind is OrderKind.REDEEM else None,
        "text": iso20022.printable(read_text(detail.rmt_inf), LONGEST_TEXT),
    }


def _read_kind(purpose: Any, paid_in: bool) -> OrderKind | None:
    """None also for a purpose that a payer has copied: only a transfer between the issuer's own accounts comes in."""
    kind = read_kind(purpose)
    return None if paid_in and kind not in (OrderKind.MINT, OrderKind.UNFUND) else kind


def _paid_in(side: Side, reversal: bool) -> bool:
    """Whether the payment, as first made, came in: a reversal keeps the parties of the payment it reverses."""
    return (side is Side.CREDIT) != reversal


def _read_counterparty(parties: Any, paid_in: bool) -> tuple[str, str]:
    if parties is None:
        return "", ""
    party = parties.dbtr if paid_in else parties.cdtr
    account = parties.dbtr_acct if paid_in else parties.cdtr_acct
    name = None if party is None or party.pty is None else party.pty.nm
    return iso20022.printable(name or "", LONGEST_NAME), _read_counterparty_account(account)


def _read_counterparty_account(account: Any) -> str:
    """Empty also for one that is written otherwise than here: it is nobody's that the issuer knows."""
    try:
        number = "" if account is None else read_account(account, "counterparty's account")
        if number:
            iso20022.check_account(number, "the counterparty's account")
    except (InvalidInput, MalformedDocument):
        return ""
    return number


def _read_end_to_end_id(references: Any) -> str | None:
    """None also for one that the issuer has certainly not given: it is not of its form."""
    named = None if references is None else references.end_to_end_id
    try:
        if named is not None:
            iso20022.check_reference(named, "the end-to-end id")
    except InvalidInput:
        return None
    return None if named == _NOT_PROVIDED else named


def _read_booked_at(booking: Any) -> int | None:
    status = booking.sts.cd
    if status == _PENDING:
        return None
    if status != _BOOKED:
        raise MalformedDocument(f"entry status {status!r} is neither {_BOOKED} nor {_PENDING}")
    day = required(booking.bookg_dt, "BookgDt")
    if day.dt_tm is not None:
        return iso20022.to_seconds(day.dt_tm)
    return iso20022.start_of_day(required(day.dt, "BookgDt/Dt"))


def _write_entries(types: Any, entries: Iterable[Entry]) -> list[Any]:
    return [_write_booking(types, list(details)) for _, details in groupby(entries, _booking)]


def _write_booking(types: Any, entries: list[Entry]) -> Any:
    first = entries[0]
    booking_date = None
    if first.booked_at is not None:
        booking_date = types.DateAndDateTime2Choice(dt_tm=iso20022.to_moment(first.booked_at))
    return types.ReportEntry10(
        amt=write_amount(types, sum(entry.amount_fen for entry in entries)),
        cdt_dbt_ind=types.CreditDebitCode(first.side.value),
        rvsl_ind=True if first.reversal else None,
        sts=types.EntryStatus1Choice(cd=_BOOKED if first.booked else _PENDING),
        bookg_dt=booking_date,
        acct_svcr_ref=first.reference,
        bk_tx_cd=_write_transaction_code(types, first.side),
        ntry_dtls=[types.EntryDetails9(tx_dtls=[_write_detail(types, entry) for entry in entries])],
    )


def _write_transaction_code(types: Any, side: Side) -> Any:
    """Payments, received or issued credit transfers: the domain codes of ISO 20022 external code sets."""
    family = "RCDT" if side is Side.CREDIT else "ICDT"
    structure = types.BankTransactionCodeStructure6(cd=family, sub_fmly_cd="OTHR")
    domain = types.BankTransactionCodeStructure5(cd="PMNT", fmly=structure)
    return types.BankTransactionCodeStructure4(domn=domain)


def _write_detail(types: Any, entry: Entry) -> Any:
    return types.EntryTransaction10(
        refs=types.TransactionReferences6(
            acct_svcr_ref=entry.reference, end_to_end_id=entry.end_to_end_id or _NOT_PROVIDED
        ),
        amt=write_amount(types, entry.amount_fen),
        cdt_dbt_ind=types.CreditDebitCode(entry.side.value),
        rltd_pties=_write_counterparty(types, entry),
        purp=types.Purpose2Choice(prtry=entry.kind.value) if entry.kind else None,
        rmt_inf=write_remittance(types, entry.text, entry.redemption),
    )


def _write_counterparty(types: Any, entry: Entry) -> Any:
    party = account = None
    if entry.counterparty_name:
        party = types.Party40Choice(pty=types.PartyIdentification135(nm=entry.counterparty_name))
    if entry.counterparty_account:
        account = write_account(types, entry.counterparty_account)
    if _paid_in(entry.side, entry.reversal):
        return types.TransactionParties6(dbtr=party, dbtr_acct=account)
    return types.TransactionParties6(cdtr=party, cdtr_acct=account)
