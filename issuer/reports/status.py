"""Status: how the coin stands, from the books alone, and what waits for what."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Row, func, select

from issuer.clock import utc
from issuer.ledger import chart, journal
from issuer.money import format_fen, format_units, whole_fen
from issuer.store import intents
from issuer.store import recovery as restored
from issuer.store.states import (
    DepositState,
    FactState,
    IntentState,
    OrderState,
    PayoutState,
    ProposalState,
    RedemptionState,
    ReportState,
    TooLarge,
    TransactionState,
)
from issuer.store.tables import (
    audit_record,
    cursor,
    fact,
    intent,
    lock,
    redemption,
    report,
    signer,
    statement,
    transaction,
)

_BASIS = 10_000
"""Coverage is counted in parts of ten thousand."""

_LATE_TRANSACTION = 60
"""Seconds after which a transaction that is not mined is worth telling."""


@dataclass(frozen=True, kw_only=True)
class Position:
    """The coin at the final block that the books stand at; amounts in units."""

    supply: int
    redeemed: int
    in_flight: int  # customers' money bound to mints that are not final
    final_block: int | None  # None before the chain was first read
    final_time: int | None  # that block's own time
    head: int | None  # the newest block seen
    report: int | None  # number of the last report that is final on chain
    reserve: int  # as that report says; zero without one
    paid: int
    as_of: int | None

    @property
    def redemptions_unpaid(self) -> int:
        return self.redeemed - self.paid

    @property
    def coverage(self) -> str | None:
        return coverage(self.reserve, self.supply + self.redemptions_unpaid)


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Something that has not come to its end."""

    what: str
    why: str
    since: int  # seconds since 1970 UTC
    do: str | None  # what a person can do; None: only the world can


def coverage(reserve: int, liabilities: int) -> str | None:
    """Reserve over liabilities, rounded down to four decimals: never shown better than it is. None of nothing."""
    if liabilities == 0:
        return None
    whole, part = divmod(reserve * _BASIS // liabilities, _BASIS)
    return f"{whole}.{part:04d}"


def position(connection: Connection) -> Position:
    """Read the position from the books."""
    place = connection.execute(select(cursor)).one_or_none()
    last = _last_report(connection)
    return Position(
        supply=journal.balance(connection, chart.OUTSTANDING),
        redeemed=connection.execute(select(func.max(redemption.c.id))).scalar() or 0,
        in_flight=journal.balance(connection, chart.IN_FLIGHT),
        final_block=place.number if place else None,
        final_time=place.timestamp if place else None,
        head=place.head if place else None,
        report=last.number if last else None,
        reserve=last.reserve if last else 0,
        paid=last.paid if last else 0,
        as_of=last.as_of if last else None,
    )


def orders(found: Iterable[Mapping[str, Any]]) -> list[Wait]:
    """What mint orders wait for; each row carries `waits_for`."""
    return [
        Wait(
            what=f"mint order {row['id']} of {format_units(row['value'])} CNH",
            why=row["waits_for"] or "the service to take it",
            since=row["at"],
            do=_order_remedy(row),
        )
        for row in found
        if row["state"] not in (OrderState.FINAL, OrderState.REJECTED, OrderState.CANCELLED, OrderState.REFUNDED)
    ]


def redemptions(found: Iterable[Mapping[str, Any]], now: int) -> list[Wait]:
    """What redemptions wait for, and which are late."""
    return [
        Wait(
            what=f"redemption {row['id']} of {format_units(row['value'])} CNH{_lateness(row, now)}",
            why=row["reason"] or "the bank to pay it",
            since=row["at"],
            do=_redemption_remedy(row),
        )
        for row in found
        if row["state"] != RedemptionState.PAID
    ]


def deposits(found: Iterable[Mapping[str, Any]]) -> list[Wait]:
    """Money that is nobody's, on its way back, or gone from under what it was bound to."""
    return [
        Wait(
            what=f"deposit {row['id']} of {format_fen(row['amount_fen'])} CNH",
            why=row["reason"] or "the bank to send it back",
            since=row["at"],
            do=_deposit_remedy(row),
        )
        for row in found
        if row["state"] in (DepositState.SUSPENSE, DepositState.HELD, DepositState.RETURNING)
        or (row["state"] == DepositState.CREDITED and row["reason"])
    ]


def _deposit_remedy(row: Mapping[str, Any]) -> str | None:
    if row["state"] == DepositState.HELD:
        return f"Settle it with the bank, then: issuer deposit refund {row['id']}; or have the bank take it back."
    if row["state"] == DepositState.CREDITED:
        return "Withdraw the order that has its money, while it can be: issuer mint cancel; else recover it from them."
    return None if row["sender_account"] and row["sender_name"] else "Ask the bank to take it back."


def payouts(found: Iterable[Mapping[str, Any]]) -> list[Wait]:
    """Payments that the bank has not booked, or of which only a part came back."""
    return [
        Wait(
            what=f"{row['kind']} payment {row['message_id']} of {format_fen(row['amount_fen'])} CNH",
            why=why,
            since=row["at"],
            do="Have the bank book the rest back." if row["state"] == PayoutState.PAID else None,
        )
        for row in found
        if (why := _payout_reason(row)) is not None
    ]


def _payout_reason(row: Mapping[str, Any]) -> str | None:
    kept = row["booked_fen"]
    if row["state"] == PayoutState.PAID and kept < row["amount_fen"] + row["fee_fen"]:
        return f"the {format_fen(kept)} CNH of it that did not come back with the rest"
    reasons = {
        PayoutState.INSTRUCTED: "the bank to answer the order",
        PayoutState.ACCEPTED: "the bank to book it",
        PayoutState.ARRIVED: "the bank to book it where it leaves",
    }
    return reasons.get(row["state"])


def acts(found: Iterable[Mapping[str, Any]]) -> list[Wait]:
    """Slow acts whose delay runs."""
    rows = list(found)
    under_way = [row for row in rows if row["function"] == "cancel" and row["state"] in ("ordered", "sent")]
    doomed = {row["arguments"]["act_id"] for row in under_way}
    return [
        Wait(
            what=f"{row['function']} on {row['contract']}",
            why=_act_reason(row, doomed),
            since=row["at"],
            do=f"To prevent it: issuer act cancel {row['act_id']} --case ...",
        )
        for row in rows
        if row["state"] in (ProposalState.PROPOSED, ProposalState.ACCEPTING)
    ]


def wallets(found: Iterable[Mapping[str, Any]]) -> list[Wait]:
    """Registered wallets that the contract would not mark as verified."""
    return [
        Wait(
            what=f"the wallet {row['address']}",
            why=f"its mark on chain, which the contract refused{': ' * bool(row['reason'])}{row['reason'] or ''}",
            since=row["since"],
            do=f"Once that is settled: issuer wallet verify {row['address']} --case ...",
        )
        for row in found
    ]


def _act_reason(row: Mapping[str, Any], doomed: Collection[str]) -> str:
    if row["act_id"] in doomed:
        return "its cancellation, which is ordered"
    return f"its delay, until {utc(row['ready_at'])}" if row["case"] else "somebody else, who has proposed it"


def recovery(connection: Connection) -> list[dict[str, Any]]:
    """What holds everything while a restored database catches up, in the form of locks; they end by themselves."""
    found = restored.find(connection)
    if found is None:
        return []
    waits = found.waits or [{"why": "the service to look at it", "do": "Run `issuer run`."}]
    return [
        {
            "id": None,
            "scope": "everything",
            "code": "recovery",
            "reason": f"in recovery, because {found.cause}; it waits for {item['why']}",
            "remedy": item["do"],
            "since": found.since,
        }
        for item in waits
    ]


def doors(connection: Connection, now: int) -> list[Wait]:
    """What waits at the edges: reports, signing keys, transactions, records, facts."""
    return [
        *_reports(connection),
        *_intents(connection),
        *_keys(connection, now),
        *_transactions(connection, now),
        *_witness(connection),
        *_statements(connection),
        *_counted(connection, now),
    ]


def _intents(connection: Connection) -> Iterable[Wait]:
    """What was decided and has not left: unless a lock holds it, any service would have sent it by its next step."""
    statement = select(intent).where(intent.c.state == IntentState.OPEN).order_by(intent.c.id)
    live = connection.execute(select(lock.c.scope, lock.c.code).where(lock.c.cleared_at.is_(None)))
    locked = {row.scope: row.code for row in live}
    for row in connection.execute(statement):
        scope = intents.held_by(row.kind)
        held = scope is not None and scope in locked
        why = f"the lock on {scope} ({locked[scope]}) to be cleared" if held else "the service to send it"
        do = "Settle what it says, then clear it: issuer lock list" if held else "issuer run"
        yield Wait(what=f"{row.kind} ({row.subject})", why=why, since=row.at, do=do)


def _last_report(connection: Connection) -> Row[Any] | None:
    statement = select(report).where(report.c.state == ReportState.FINAL).order_by(report.c.number.desc()).limit(1)
    return connection.execute(statement).one_or_none()


_REFUSAL_REMEDIES = {
    TooLarge.CAPACITY: "See which with `issuer limit show`, then: issuer limit raise KEY --capacity ... --refill ... "
    "--case ...",
    "ActStopped": "When it may go on: issuer resume mint --case ...",
}


def _order_remedy(row: Mapping[str, Any]) -> str | None:
    if row["state"] == OrderState.REQUESTED:
        return f"issuer mint approve {row['id']} --operator ANOTHER"
    if row["state"] == OrderState.APPROVED:
        return f"To withdraw it: issuer mint cancel {row['id']}"
    return _REFUSAL_REMEDIES.get(row["refusal"]) if row["state"] == OrderState.BATCHED else None


def _lateness(row: Mapping[str, Any], now: int) -> str:
    return f", late since {utc(row['deadline'])}" if now > row["deadline"] else f", due by {utc(row['deadline'])}"


def _redemption_remedy(row: Mapping[str, Any]) -> str | None:
    if not whole_fen(row["value"]):
        return None  # no bank pays less than a fen
    if row["seized_under"] and row["state"] in (RedemptionState.HELD, RedemptionState.RETURNED):
        if row["payee_by"] and row["state"] == RedemptionState.HELD:
            return f"issuer redemption approve {row['id']} --operator ANOTHER"
        return f"As its case orders: issuer redemption direct {row['id']} --account ... --name ... --case ..."
    if row["state"] in (RedemptionState.HELD, RedemptionState.RETURNED):
        return f"Settle it, then: issuer redemption release {row['id']}"
    return None


def _reports(connection: Connection) -> Iterable[Wait]:
    waiting = {
        ReportState.REQUESTED: "bank and auditor to sign it",
        ReportState.ATTESTED: "its transaction to be final",
    }
    for row in connection.execute(select(report).where(report.c.state.in_(tuple(waiting)))):
        yield Wait(what=f"reserve report {row.number}", why=waiting[row.state], since=row.at, do=None)


def _keys(connection: Connection, now: int) -> Iterable[Wait]:
    for row in connection.execute(select(signer).where(signer.c.halted.is_not(None))):
        do = f"Find out who used it, then: issuer key resume {row.role}"
        yield Wait(what=f"the {row.role} key {row.address}", why=row.halted, since=now, do=do)


def _transactions(connection: Connection, now: int) -> Iterable[Wait]:
    statement = (
        select(transaction, intent.c.kind)
        .join(intent, intent.c.id == transaction.c.intent_id)
        .where(transaction.c.state == TransactionState.SIGNED)
    )
    for row in connection.execute(statement):
        if row.mined_block is None and now - row.at > _LATE_TRANSACTION:
            do = f"To give it up: issuer transaction cancel {row.id}"
            yield Wait(what=f"transaction {row.id} ({row.kind})", why="a block to take it", since=row.at, do=do)


def _witness(connection: Connection) -> Iterable[Wait]:
    """The second node has not confirmed what the first one calls final."""
    row = connection.execute(select(cursor)).one_or_none()
    if row is not None and row.unconfirmed is not None:
        do = "If it lasts, see to that node, or set RPC_URL_2 to another one."
        yield Wait(what="the newest final block", why=row.unconfirmed, since=row.unconfirmed_since, do=do)


def _statements(connection: Connection) -> Iterable[Wait]:
    """Statements that were left out though later ones came: the balances may join, and their entries are not compared.

    They are numbered over both accounts, and may come late: that is nothing to stop for.
    """
    came = connection.execute(select(statement.c.sequence, statement.c.until).order_by(statement.c.sequence)).all()
    for before, after in pairwise(came):
        first, last = before.sequence + 1, after.sequence - 1
        if first <= last:
            what = f"bank statement {first}" if first == last else f"bank statements {first} to {last}"
            yield Wait(what=what, why="the bank to send it", since=after.until, do="Ask the bank for it.")


def _counted(connection: Connection, now: int) -> Iterable[Wait]:
    """Rows that any running service would have dealt with by its next step."""
    for what, why, condition in (
        ("the log", "{} records to be sealed", select(func.count()).where(audit_record.c.place.is_(None))),
        ("the intake", "{} facts to be taken", select(func.count()).where(fact.c.state == FactState.NEW)),
    ):
        count = connection.execute(condition).scalar_one()
        if count:
            yield Wait(what=what, why=why.format(count), since=now, do="issuer run")
