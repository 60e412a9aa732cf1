"""Batches: mint orders that are funded, attested and sent together.

A batch is funded at the bank, attested by the quorum, carried by one signed transaction at a time, and final only when
a final mint event shows its orders under a reference that commits to their ids. A recipient's fault takes that order
out; its money leaves the reserve once a report without it is final.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, bindparam, exists, func, insert, or_, select, update

from issuer import audit
from issuer.ledger import chart, journal
from issuer.money import format_units, units_to_fen
from issuer.operations import locks, payouts, recalled
from issuer.operations.payouts import Payment, Payout
from issuer.operations.policy import Policy
from issuer.operations.transitions import move, move_each
from issuer.store import intents
from issuer.store.facts import Fact
from issuer.store.states import BatchState, Door, IntentState, OrderState, PayoutKind, ReportState, Scope, TooLarge
from issuer.store.tables import batch, intent, mint_order, payout, redemption, report
from issuer.store.unit import Unit
from issuer.tlog import merkle

RECIPIENT_FAULTS = frozenset({"AccountNotVerified", "AccountFrozen", "ERC20InvalidReceiver"})
"""Errors of the contract that only end when the order does; every other refusal means wait, or look."""

OVER_LIMIT = "OverLimit"
"""The contract's error for a mint above what a minting limit holds now, and not above what it holds when full."""

_GATHERED = 5
"""Batches formed in one unit of work."""

PAUSE = 5
"""Seconds before a mint that the contract would refuse is tried again; twice as long after every further refusal."""

_DOUBLINGS = 6
LONGEST_PAUSE = PAUSE << _DOUBLINGS

_IN_STATE = select(batch).where(batch.c.state == bindparam("state")).order_by(batch.c.id)
_RESERVED = (
    select(mint_order)
    .where(mint_order.c.state == OrderState.RESERVED)
    .order_by(mint_order.c.id)
    .limit(bindparam("most"))
)
_ORDERS = select(mint_order).where(mint_order.c.batch_id == bindparam("batch")).order_by(mint_order.c.position)
_BURNED = select(func.max(redemption.c.id))
_LEAVING = select(func.coalesce(func.sum(payout.c.par), 0)).where(
    payout.c.kind == PayoutKind.UNFUND, payout.c.state.in_(payouts.UNPAID)
)
_RELEASED = select(func.coalesce(func.sum(batch.c.value), 0)).where(batch.c.state == BatchState.ATTESTED)
# Every report leaves out all orders that have failed by then, so any that stands serves those of a refused one too.
_STANDING_REPORT = select(func.coalesce(func.max(report.c.number), 0)).where(report.c.state != ReportState.REFUSED)
_WITHOUT_REPORT = (
    select(mint_order.c.id)
    .where(
        mint_order.c.state == OrderState.FAILED,
        or_(mint_order.c.withheld_by.is_(None), mint_order.c.withheld_by > _STANDING_REPORT.scalar_subquery()),
    )
    .limit(1)
)
_FAILED = select(func.coalesce(func.sum(mint_order.c.value), 0)).where(mint_order.c.state == OrderState.FAILED)
_CREDITED = select(func.coalesce(func.sum(batch.c.value), 0)).where(
    batch.c.state.in_((BatchState.FUNDED, BatchState.ATTESTED, BatchState.FINAL))
)
_CARRIER = select(intent.c.id).where(
    intent.c.kind == "mint",
    intent.c.subject == bindparam("subject"),
    intent.c.state.in_((IntentState.OPEN, IntentState.BOUND, IntentState.DONE)),
)
_REPORT_ASKED = select(report.c.number).where(report.c.state == ReportState.REQUESTED)
_LATEST_REPORT = (
    select(report)
    .where(report.c.state.in_((ReportState.ATTESTED, ReportState.FINAL)))
    .order_by(report.c.number.desc())
    .limit(1)
)


# -- one step of the service


def gather(unit: Unit, policy: Policy) -> int:
    """Put reserved orders into batches, each once it is full or its first order has waited; the number batched."""
    if locks.locked(unit.connection, Scope.MINTING):
        return 0
    rows = unit.connection.execute(_RESERVED, {"most": _GATHERED * policy.batch_limit}).all()
    chunks = [rows[start : start + policy.batch_limit] for start in range(0, len(rows), policy.batch_limit)]
    ready = [chunk for chunk in chunks if len(chunk) == policy.batch_limit or _has_waited(unit, policy, chunk)]
    for chunk in ready:
        form(unit, chunk)
    return sum(map(len, ready))


def form(unit: Unit, orders: Sequence[Row[Any]]) -> None:
    """Put these reserved orders into one batch, in this order."""
    batch_id = _insert(unit, orders)
    ids = [row.id for row in orders]
    places = {"position": range(len(ids))}
    move_each(unit, mint_order, ids, OrderState.RESERVED, OrderState.BATCHED, places, batch_id=batch_id)


def fund(unit: Unit, policy: Policy) -> int:
    """Instruct the transfer to the reserve for batches that have none alive; the number instructed."""
    if locks.locked(unit.connection, Scope.MINTING):
        return 0
    waiting = [
        row
        for row in _batches(unit.connection, BatchState.FUNDING)
        if not payouts.live(unit.connection, PayoutKind.MINT, _subject(row))
    ]
    for row in waiting:
        fund_one(unit, policy, row)
    return len(waiting)


def fund_one(unit: Unit, policy: Policy, row: Row[Any]) -> None:
    """Instruct the transfer of one batch's sum to the reserve."""
    payouts.instruct(
        unit,
        Payment(
            kind=PayoutKind.MINT,
            subject=_subject(row),
            amount_fen=units_to_fen(row.value),
            debtor_account=policy.collection_account,
            creditor_account=policy.reserve_account,
            creditor_name="Reserve",
            par=row.value,
        ),
    )


def is_unmoved(connection: Connection, batch_id: int) -> bool:
    """Whether no payment moves a batch's money to the reserve, nor has one."""
    row = connection.execute(select(batch).where(batch.c.id == batch_id)).one()
    return row.state == BatchState.FUNDING and not payouts.live(connection, PayoutKind.MINT, _subject(row))


def go_on_without(unit: Unit, batch_id: int) -> None:
    """An order was taken out of a batch whose money has not moved: the rest of it is another batch."""
    row = unit.connection.execute(select(batch).where(batch.c.id == batch_id)).one()
    rest = _orders(unit.connection, batch_id)
    if rest:
        _keep_only(unit, row, rest)
    else:
        move(unit, batch, batch_id, BatchState.FUNDING, BatchState.DISSOLVED)


def attest(unit: Unit) -> int:
    """Release funded batches that the last attested report covers, in order; the number released.

    The same two inequalities that the contract checks, on the sum that the mint would make.
    """
    latest = _latest_report(unit.connection)
    if latest is None or locks.locked(unit.connection, Scope.MINTING):
        return 0
    released = 0
    issued = minted_and_released(unit.connection)
    for row in _batches(unit.connection, BatchState.FUNDED):
        issued += row.value
        if not _covers(latest, issued):
            break
        move(unit, batch, row.id, BatchState.FUNDED, BatchState.ATTESTED)
        released += 1
    return released


def send(unit: Unit) -> int:
    """Write the mint intents of attested batches that have none alive; the number written.

    None while the last report does not cover them any more: the contract would refuse them one by one. Nor of those
    behind one that waits for a limit to refill: smaller ones would take again and again what it waits for.
    """
    latest = _latest_report(unit.connection)
    if latest is None or locks.locked(unit.connection, Scope.MINTING):
        return 0
    if not _covers(latest, minted_and_released(unit.connection)):
        return 0
    # A time further off than a pause was written by a clock that has been set back since.
    pausing = range(unit.now + 1, unit.now + LONGEST_PAUSE + 1)
    sent = 0
    for row in _batches(unit.connection, BatchState.ATTESTED):
        if row.not_before not in pausing and not _carried(unit.connection, row):
            send_one(unit, row)
            sent += 1
        if row.refusal == OVER_LIMIT:
            break
    return sent


def send_one(unit: Unit, row: Row[Any]) -> None:
    """Write the mint intent of one attested batch."""
    orders = [[order.wallet, order.value] for order in _orders(unit.connection, row.id)]
    after = {"count": row.count, "value": format_units(row.value)}
    record = audit.append(unit, "mint.released", _subject(row), after=after)
    payload = {"reference": row.reference, "orders": orders}
    intents.emit(unit, Door.CHAIN, "mint", _subject(row), payload, record)


def unfund(unit: Unit, policy: Policy) -> int:
    """Send failed orders' money back to collection once a report without it is final; the number instructed.

    Not while a report is asked for that leaves it out: the bank would leave out what has gone already. Nor what tokens
    that nobody knows have taken for themselves: it stays behind them until a person decides.
    """
    if locks.locked(unit.connection, Scope.PAYOUTS) or _report_asked(unit.connection):
        return 0
    final = select(func.max(report.c.number)).where(report.c.state == ReportState.FINAL).scalar_subquery()
    statement = select(mint_order).where(mint_order.c.state == OrderState.FAILED, mint_order.c.withheld_by <= final)
    rows = unit.connection.execute(statement.order_by(mint_order.c.id)).all()
    due = [row for row in rows if not payouts.live(unit.connection, PayoutKind.UNFUND, f"order:{row.commitment}")]
    free = _free(unit.connection) if due else 0
    moved = 0
    for row in due:
        if row.value <= free:
            unfund_one(unit, policy, row)
            free -= row.value
            moved += 1
    return moved


def kept_back_by(connection: Connection, order: RowMapping) -> str:
    """What a failed order's money waits for before it is the customer's again."""
    if payouts.live(connection, PayoutKind.UNFUND, f"order:{order['commitment']}"):
        return "the bank to move its money back"
    final = connection.scalar(select(func.max(report.c.number)).where(report.c.state == ReportState.FINAL)) or 0
    if order["withheld_by"] is None or order["withheld_by"] > final:
        return "a reserve report without its money to be final"
    missing = order["value"] - _free(connection)
    return f"{format_units(missing)} CNH more in the reserve than is owed" if missing > 0 else "its turn"


def unfund_one(unit: Unit, policy: Policy, row: Row[Any]) -> None:
    """Instruct the transfer of one failed order's money back to collection."""
    payouts.instruct(
        unit,
        Payment(
            kind=PayoutKind.UNFUND,
            subject=f"order:{row.commitment}",
            amount_fen=units_to_fen(row.value),
            debtor_account=policy.reserve_account,
            creditor_account=policy.collection_account,
            creditor_name="Collection",
            par=row.value,
        ),
    )


# -- told by the bank and the chain


def in_transit(connection: Connection, found: Payout) -> bool:
    """Whether a transfer between our accounts has not arrived yet."""
    name = found.subject.partition(":")[2]
    if found.kind is PayoutKind.MINT:
        # Once it has arrived, the batch may be another one, without an order that failed.
        waits = exists().where(batch.c.reference == name, batch.c.state == BatchState.FUNDING)
    else:
        waits = exists().where(mint_order.c.commitment == name, mint_order.c.state == OrderState.FAILED)
    return bool(connection.scalar(select(waits)))


def funded(unit: Unit, found: Payout) -> None:
    """The bank has booked a batch's sum on the reserve account."""
    row = _by_reference(unit.connection, found.subject.removeprefix("batch:"))
    move(unit, batch, row.id, BatchState.FUNDING, BatchState.FUNDED)


def minted(unit: Unit, fact: Fact) -> None:
    """A final mint event: its orders are final if they are exactly those of the batch that its reference names."""
    reference, told = fact.payload["reference"], fact.payload["orders"]
    statement = select(batch).where(batch.c.reference == reference, batch.c.state == BatchState.ATTESTED)
    row = unit.connection.execute(statement).one_or_none()
    orders = [] if row is None else _orders(unit.connection, row.id)
    if row is None or [[order.wallet, order.value] for order in orders] != told:
        _unknown_mint(unit, fact)
        return
    move(unit, batch, row.id, BatchState.ATTESTED, BatchState.FINAL, first=fact.payload["first"])
    intents.done(unit, "mint", _subject(row))
    finals = update(mint_order).where(mint_order.c.batch_id == row.id).values(state=OrderState.FINAL)
    unit.connection.execute(finals)
    units = row.value
    entry = journal.transfer("minted", _subject(row), debit=chart.IN_FLIGHT, credit=chart.OUTSTANDING, units=units)
    journal.post(unit, entry)
    after = {"first": fact.payload["first"], "orders": [order.commitment for order in orders]}
    audit.append(unit, "mint.final", _subject(row), after=after, evidence=[fact.payload["transaction"]])


def _unknown_mint(unit: Unit, fact: Fact) -> None:
    """A chain fact always posts: the tokens are there, and nobody's money is known to be behind them."""
    reference, units = fact.payload["reference"], sum(value for _, value in fact.payload["orders"])
    subject = f"batch:{reference}"
    entry = journal.transfer(
        "minted by nobody we know", subject, debit=chart.UNEXPLAINED_DEBITS, credit=chart.OUTSTANDING, units=units
    )
    journal.post(unit, entry)
    audit.append(
        unit, "mint.unknown", subject, after={"value": format_units(units)}, evidence=[fact.payload["transaction"]]
    )
    reason = f"a final mint ({reference}, numbers from {fact.payload['first']}) matches no batch of ours"
    remedy = "A key may be stolen: stop minting on chain, find where the mint came from, then clear the lock."
    locks.engage(unit, Scope.MINTING, "unknown-mint", reason, remedy)


def refused(unit: Unit, fact: Fact) -> None:
    """The simulated mint would revert. A recipient's fault fails that order, and what is too large is split; anything
    else waits and is tried again.
    """
    row = _by_reference(unit.connection, fact.payload["subject"].removeprefix("batch:"))
    error, arguments = fact.payload["error"], fact.payload["arguments"]
    audit.append(unit, "mint.refused", _subject(row), after={"error": error})
    if error in RECIPIENT_FAULTS:
        _fail(unit, row, address=arguments[0], error=error)
    elif error in tuple(TooLarge) and row._mapping["count"] > 1:
        _split(unit, row)
    else:
        wait(unit, row.reference, error)


def wait(unit: Unit, reference: str, refusal: str | None = None) -> None:
    """Leave a batch as it is for a while; the next intent reads the chain's numbers again."""
    row = _by_reference(unit.connection, reference)
    pause = PAUSE << min(row.refusals, _DOUBLINGS)
    values = {"not_before": unit.now + pause, "refusals": row.refusals + 1, "refusal": refusal}
    unit.connection.execute(update(batch).where(batch.c.id == row.id).values(values))


def try_again(unit: Unit) -> None:
    """What refused mints were waiting for may be there: a report, a higher limit, an act that goes on."""
    waiting = batch.c.state == BatchState.ATTESTED, batch.c.refusals > 0
    unit.connection.execute(update(batch).where(*waiting).values(not_before=0, refusals=0))


def unfunded(unit: Unit, found: Payout) -> None:
    """The bank has moved a failed order's money back to collection: it is the customer's again."""
    row = _order(unit.connection, found.subject.removeprefix("order:"))
    move(unit, mint_order, row.id, OrderState.FAILED, OrderState.REFUNDED)
    owner = chart.customer(row.customer_id)
    entry = journal.transfer("not minted", found.subject, debit=chart.IN_FLIGHT, credit=owner, units=row.value)
    journal.post(unit, entry)
    recalled.settle(unit, row.customer_id)


# -- looked at by others


def issued(connection: Connection) -> int:
    """Units ever minted and final: the supply plus everything ever burned."""
    burned = connection.execute(_BURNED).scalar() or 0
    return journal.balance(connection, chart.OUTSTANDING) + burned


def minted_and_released(connection: Connection) -> int:
    """Units ever minted, burned or not, plus those of batches that may be minted at any moment."""
    return issued(connection) + _released(connection)


def withhold(unit: Unit, number: int) -> int:
    """Bind failed orders to the report that leaves their money out; all that it must leave out, in units."""
    failed = mint_order.c.state == OrderState.FAILED
    unbound = update(mint_order).where(failed, mint_order.c.withheld_by.is_(None)).values(withheld_by=number)
    unit.connection.execute(unbound)
    return _failed(unit.connection)


def leaving(connection: Connection) -> bool:
    """Whether a failed order's money is on its way out of the reserve, and not yet back.

    Not what a lock holds back here: the outbox keeps it until no report is asked for that leaves it out.
    """
    failed = connection.execute(select(mint_order.c.commitment).where(mint_order.c.state == OrderState.FAILED))
    ordered = [f"order:{row.commitment}" for row in failed.all()]
    ordered = [subject for subject in ordered if payouts.live(connection, PayoutKind.UNFUND, subject)]
    held = bool(ordered) and locks.locked(connection, Scope.PAYOUTS)
    return any(not (held and intents.waits(connection, "payment", subject)) for subject in ordered)


def report_wanted(connection: Connection) -> bool:
    """Whether a batch waits for a report that covers it, or a failed order for one that leaves it out.

    What the last report lacked must be there by now, by our books: while it is not, another one would say the same, at
    every block and for a fee each time.
    """
    if connection.execute(_WITHOUT_REPORT).first() is not None:
        return True
    return any(_lack(connection, issued_then) is None for issued_then in _uncovered(connection))


def lack(connection: Connection, state: BatchState) -> str | None:
    """What keeps a batch in this state from being covered by another report, if one is needed and anything does."""
    sums = _uncovered(connection, with_funded=state == BatchState.FUNDED)
    if sums and leaving(connection):
        return "a failed order's money to have left the reserve"
    return _lack(connection, sums[0]) if sums else None


# -- within


def _covers(latest: Row[Any], issued: int) -> bool:
    """The two inequalities that the contract checks when it mints."""
    return bool(issued <= latest.credited and issued - latest.paid <= latest.reserve)


def _uncovered(connection: Connection, *, with_funded: bool = True) -> list[int]:
    """All that will ever have been minted once what is released is, and then with each funded batch after it: those of
    these sums that the last report does not cover.
    """
    sums = [minted_and_released(connection)] if _released(connection) else []
    if with_funded:
        funded = [row.value for row in _batches(connection, BatchState.FUNDED)]
        sums += [*accumulate(funded, initial=minted_and_released(connection))][1:]
    latest = _latest_report(connection) if sums else None
    return [issued_then for issued_then in sums if latest is None or not _covers(latest, issued_then)]


def _lack(connection: Connection, issued_then: int) -> str | None:
    """What a report that said what our books say would lack, for so much to have been minted: the contract's two sums.

    What nobody ordered was minted against money that others have paid in, and no more is credited for it.
    """
    owed = journal.balance(connection, chart.OUTSTANDING) + journal.balance(connection, chart.REDEMPTIONS)
    said = journal.balance(connection, chart.RESERVE) - _failed(connection)
    missing = owed + issued_then - issued(connection) - said
    if missing > 0:
        return f"{format_units(missing)} CNH more in the reserve"
    if issued_then > connection.execute(_CREDITED).scalar_one():
        return "tokens that nobody ordered, which were minted against its money"
    return None


def _free(connection: Connection) -> int:
    """What may leave the reserve, by our books, with all still backed that is outstanding or owed."""
    backed = journal.balance(connection, chart.OUTSTANDING) + journal.balance(connection, chart.REDEMPTIONS)
    return journal.balance(connection, chart.RESERVE) - backed - int(connection.execute(_LEAVING).scalar_one())


def _failed(connection: Connection) -> int:
    """Failed orders' money, which every report leaves out."""
    return int(connection.execute(_FAILED).scalar_one())


def _released(connection: Connection) -> int:
    return int(connection.execute(_RELEASED).scalar_one())


def _has_waited(unit: Unit, policy: Policy, orders: Sequence[Row[Any]]) -> bool:
    first = min(int(order.reserved_at) for order in orders)
    # A clock that was set back must not make it wait until it is that late again.
    return not 0 <= unit.now - first < policy.batch_wait


def _insert(
    unit: Unit, orders: Sequence[Row[Any]], state: BatchState = BatchState.FUNDING, *, formerly: str | None = None
) -> int:
    """A batch of these orders, which were in another one before if that is named."""
    reference, value = _reference(orders), sum(order.value for order in orders)
    values = {"reference": reference, "count": len(orders), "value": value, "at": unit.now}
    statement = insert(batch).values(**values, state=state, not_before=0, refusals=0).returning(batch.c.id)
    batch_id = int(unit.connection.execute(statement).scalar_one())
    _record(unit, reference, orders, formerly)
    return batch_id


def _record(unit: Unit, reference: str, orders: Sequence[Row[Any]], formerly: str | None) -> None:
    value = sum(order.value for order in orders)
    after = {"orders": [order.commitment for order in orders], "value": format_units(value)}
    before = None if formerly is None else {"reference": formerly}
    audit.append(unit, "mint.batched", f"batch:{reference}", before=before, after=after)


def _reference(orders: Sequence[Row[Any]]) -> str:
    """The RFC 6962 root over the orders' ids, in order."""
    return "0x" + merkle.root([bytes.fromhex(order.commitment[2:]) for order in orders]).hex()


def _fail(unit: Unit, row: Row[Any], *, address: str, error: str) -> None:
    """Take the orders to one address out of a batch; the rest of it becomes a batch with another reference."""
    orders = _orders(unit.connection, row.id)
    for order in (order for order in orders if order.wallet == address):
        freed: dict[str, Any] = {"batch_id": None, "position": None, "reason": error}
        move(unit, mint_order, order.id, OrderState.BATCHED, OrderState.FAILED, **freed)
        audit.append(unit, "mint.failed", f"order:{order.commitment}", after={"error": error})
    rest = [order for order in orders if order.wallet != address]
    if not rest:
        move(unit, batch, row.id, BatchState.ATTESTED, BatchState.DISSOLVED)
        return
    _keep_only(unit, row, rest)


def _keep_only(unit: Unit, row: Row[Any], rest: Sequence[Row[Any]]) -> None:
    """Let a batch be of these orders of it, under another reference."""
    ids, places = [order.id for order in rest], {"position": range(len(rest))}
    move_each(unit, mint_order, ids, OrderState.BATCHED, OrderState.BATCHED, places)
    reference, value = _reference(rest), sum(order.value for order in rest)
    values = {"reference": reference, "count": len(rest), "value": value, "refusals": 0, "refusal": None}
    unit.connection.execute(update(batch).where(batch.c.id == row.id).values(values))
    _record(unit, reference, rest, row.reference)


def _split(unit: Unit, row: Row[Any]) -> None:
    """Make two batches of one that is too large to be minted at once. Its money is in the reserve, and covers both."""
    orders = _orders(unit.connection, row.id)
    half = len(orders) // 2
    second = _insert(unit, orders[half:], BatchState.ATTESTED, formerly=row.reference)
    moved = update(mint_order).where(mint_order.c.batch_id == row.id, mint_order.c.position >= half)
    unit.connection.execute(moved.values(batch_id=second, position=mint_order.c.position - half))
    _keep_only(unit, row, orders[:half])


def _subject(row: Row[Any]) -> str:
    return f"batch:{row.reference}"


def _batches(connection: Connection, state: BatchState) -> Sequence[Row[Any]]:
    return connection.execute(_IN_STATE, {"state": state}).all()


def _by_reference(connection: Connection, reference: str) -> Row[Any]:
    return connection.execute(select(batch).where(batch.c.reference == reference)).one()


def _orders(connection: Connection, batch_id: int) -> Sequence[Row[Any]]:
    return connection.execute(_ORDERS, {"batch": batch_id}).all()


def _order(connection: Connection, commitment: str) -> Row[Any]:
    return connection.execute(select(mint_order).where(mint_order.c.commitment == commitment)).one()


def _carried(connection: Connection, row: Row[Any]) -> bool:
    """Whether an intent for the batch waits, a signed transaction carries it, or one has minted it.

    A mint that succeeded finally and whose event is not there yet was left out by a node; it is never sent again.
    """
    return connection.execute(_CARRIER, {"subject": _subject(row)}).first() is not None


def _report_asked(connection: Connection) -> bool:
    return connection.execute(_REPORT_ASKED).first() is not None


def _latest_report(connection: Connection) -> Row[Any] | None:
    return connection.execute(_LATEST_REPORT).one_or_none()
