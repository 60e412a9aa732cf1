"""Causes: what brings each record of the log about, when it is lived through again.

A fact that bank or chain tell again, the record itself, or a person who knows what was lost.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Column, Row, Table, delete, select, update

from issuer import audit
from issuer.audit import schema
from issuer.audit.record import Record
from issuer.errors import NotFound
from issuer.messages.abi import keccak
from issuer.money import format_fen, parse_fen, parse_units, whole_fen
from issuer.operations import (
    batches,
    binding,
    customers,
    deposits,
    intake,
    locks,
    mints,
    powers,
    redemptions,
    requests,
    reserve,
    wallets,
)
from issuer.operations.binding import Binding
from issuer.operations.policy import Policy
from issuer.operations.recall import Recall, Unmatched, name
from issuer.operations.transitions import move
from issuer.store import intents, sets, tables
from issuer.store.facts import Fact
from issuer.store.states import BatchState, IntentState, OrderState, PayoutKind, Scope, TransactionState
from issuer.store.unit import Unit

Act = Callable[[Unit, Policy, Recall], object]

Entry = tuple[Act, Callable[[Unit], None]]
"""What is done again with what a person has entered, and what is recorded anew."""

TOLD_BY: dict[str, tuple[str, ...]] = {
    "deposit.taken": ("entry",),
    "deposit.recalled": ("entry",),
    "entry.suspended": ("entry",),
    "payout.arrived": ("entry",),
    "payout.partly-paid": ("entry",),
    "payout.taken-back": ("entry",),
    "payout.paid": ("entry",),
    "payout.partly-returned": ("entry",),
    "payout.returned": ("entry",),
    "payout.accepted": ("status",),
    "payout.accepted-late": ("status",),
    "payout.rejected": ("status",),
    "payout.refused-late": ("status",),
    "statement.taken": ("statement",),
    "document.contradicted": ("contradiction",),
    "report.signed": ("report",),
    "report.refused": ("refusal", "report"),
    "report.final": ("reported",),
    "redemption.burned": ("redeemed",),
    "mint.final": ("minted",),
    "mint.unknown": ("minted",),
    "mint.refused": ("refused",),
    "transaction.refused": ("refused",),
    "transaction.failed": ("sent",),
    "wallet.verified": ("verified",),
    "wallet.unverified": ("unverified",),
    "lock.engaged": tuple(intake.KINDS),
}
"""Kinds of facts that bring a record about; ``chain.KIND`` is brought about by KIND."""

SILENT = frozenset(("entry", "status", "moved", "sent"))
"""Kinds of facts that may change something without a record of it, whenever they are taken."""

_MINT_ORDERS = select(tables.mint_order)


def kinds(head: Record) -> tuple[str, ...]:
    """The kinds of facts that bring such a record about; none if no fact does."""
    chain = (head.action.removeprefix("chain."),) if head.action.startswith("chain.") else ()
    return TOLD_BY.get(head.action, chain)


def policy_then(policy: Policy, recall: Recall) -> Policy:
    """The policy as it was when the head was recorded, as far as the log shows that it may have been another."""
    told = recall.head.after or {}
    match recall.head.action:
        case "customer.added":
            served = policy.refused_jurisdictions - {told["jurisdiction"]}
            return replace(_with_other_accounts(policy), refused_jurisdictions=served)
        case "redemption.directed":
            return _with_other_accounts(policy)
        case "mint.requested":
            return _with_threshold(policy, told)
        case "deposit.taken":
            orders = [record for record in recall.next if record.action == "mint.requested"]
            # A person's order may have its record between a deposit's and its standing order's.
            standing = [after for after in _of_service(orders, recall) if after["customer"] == told["customer"]]
            return _with_threshold(policy, standing[0]) if standing else policy
        case "redemption.burned":
            outgrown = told["reason"] == redemptions.NOT_ABOVE_THE_FEE
            return replace(policy, redemption_fee_fen=whole_fen(parse_units(told["value"])) if outgrown else 0)
        case "redemption.released":
            return replace(policy, redemption_fee_fen=0)
        case "payout.instructed":
            free = told["fee"] == format_fen(0)
            return replace(policy, redemption_fee_fen=0 if free else parse_fen(told["fee"]))
    return policy


def _of_service(records: Iterable[Record], recall: Recall) -> list[Mapping[str, Any]]:
    """What records of the head's own actor say."""
    return [record.after or {} for record in records if record.actor == recall.head.actor]


def _with_other_accounts(policy: Policy) -> Policy:
    """One under which no payee's account was the issuer's own: the log has only a commitment to it."""
    return replace(policy, collection_account="", reserve_account="")


def _with_threshold(policy: Policy, order: Mapping[str, Any]) -> Policy:
    """One under which an order needed another person's approval, or did not."""
    value = parse_units(order["value"])
    return replace(policy, approval_threshold=value - (order["state"] == OrderState.REQUESTED))


def _nothing(_unit: Unit, _policy: Policy, recall: Recall) -> None:
    """It tells of something whose effect lay outside, or that people see to."""
    recall.use_head()


def _bind(unit: Unit, _policy: Policy, recall: Recall) -> None:
    told = dict(recall.head.after or {})
    binding.bind(unit, Binding(**{**told, "attestors": tuple(told["attestors"])}))


def _challenge(unit: Unit, policy: Policy, recall: Recall) -> None:
    """With another text: the one that was given is void."""
    told = recall.head.after or {}
    address = name(recall.head.subject)
    wallets.challenge(unit, policy, customer_id=told["customer"], address=address, standing=told["standing"])


def _register(unit: Unit, _policy: Policy, recall: Recall) -> None:
    row = wallets.get(unit.connection, name(recall.head.subject))
    # That the signature was good is what the record says.
    wallets.register(unit, address=row["address"], text=row["challenge"], controlled=True)


def _request_mint(unit: Unit, policy: Policy, recall: Recall) -> None:
    told = recall.head.after or {}
    value = parse_units(told["value"])
    mints.request(unit, policy, customer_id=told["customer"], wallet=told["wallet"], value=value)


def _decide(decide: Callable[..., object]) -> Act:
    def act(unit: Unit, _policy: Policy, recall: Recall) -> None:
        decide(unit, order_id=_order(unit, name(recall.head.subject)).id)

    return act


def _reserve(unit: Unit, _policy: Policy, recall: Recall) -> None:
    mints.bind_money(unit, _orders(unit, [name(record.subject) for record in recall.run]))


def _batch(unit: Unit, _policy: Policy, recall: Recall) -> None:
    batches.form(unit, _orders(unit, (recall.head.after or {})["orders"]))


def _release(unit: Unit, _policy: Policy, recall: Recall) -> None:
    row = _batch_row(unit, name(recall.head.subject))
    if row.state == BatchState.FUNDED:
        move(unit, tables.batch, row.id, BatchState.FUNDED, BatchState.ATTESTED)
    elif row.state != BatchState.ATTESTED:
        raise Unmatched(f"the batch is {row.state}")
    batches.send_one(unit, row)


def _refuse_mint(unit: Unit, _policy: Policy, recall: Recall) -> None:
    """The orders that failed by it are in the records after it."""
    told = {"subject": recall.head.subject, "error": (recall.head.after or {})["error"], "arguments": []}
    failed = [record for record in recall.after if record.action == "mint.failed" and record.at == recall.head.at]
    if told["error"] in batches.RECIPIENT_FAULTS:
        told["arguments"] = [_order(unit, name(failed[0].subject)).wallet]
    _refuse(unit, "mint", recall.head.subject, told)


def _refuse_transaction(unit: Unit, _policy: Policy, recall: Recall) -> None:
    told = recall.head.after or {}
    _refuse(unit, told["kind"], recall.head.subject, {"subject": recall.head.subject, "arguments": [], **told})


def _refuse(unit: Unit, kind: str, subject: str, told: dict[str, Any]) -> None:
    intent_id = _waiting_intent(unit, kind, subject)
    intents.move(unit, intent_id, IntentState.OPEN, IntentState.BOUND)
    payload = {"intent_id": intent_id, "kind": kind, **told}
    intake.refused(unit, Fact(id=0, door="chain", key="", kind="refused", payload=payload))


def _fail(unit: Unit, _policy: Policy, recall: Recall) -> None:
    """A transaction came to nothing, finally; the log knows it whether or not the database knows the transaction."""
    told = recall.head.after or {}
    try:
        intent_id = _waiting_intent(unit, told["kind"], recall.head.subject)
    except NotFound:
        if told["kind"] != "fence":
            raise
        # An earlier recovery's, of which this database knows nothing: its effect lay on the chain alone.
        recall.use_head()
        return
    live = (tables.transaction.c.intent_id == intent_id, tables.transaction.c.state == TransactionState.SIGNED)
    # Its block is not in the log, and where it was seen last may be another.
    ended = {"state": TransactionState.FINAL, "outcome": told["outcome"], "mined_block": None}
    unit.connection.execute(update(tables.transaction).where(*live).values(ended))
    for carried in (IntentState.OPEN, IntentState.BOUND):
        intents.move(unit, intent_id, carried, IntentState.VOID)
    # The lock that a foreign nonce sets has a record of its own.
    payload = {"intent_id": intent_id, "subject": recall.head.subject, **told}
    intake.not_done(unit, payload)


def _refuse_report(unit: Unit, _policy: Policy, recall: Recall) -> None:
    told = recall.head.after or {}
    if told["by"] != "feed":
        raise Unmatched("its refusal has not been told again yet")
    intent_id = _waiting_intent(unit, "report", recall.head.subject)
    intents.move(unit, intent_id, IntentState.OPEN, IntentState.VOID)
    reserve.not_posted(unit, recall.head.subject, told["code"])


def _ask_for_report(unit: Unit, _policy: Policy, recall: Recall) -> None:
    told = recall.head.after or {}
    statement = select(tables.checkpoint).where(tables.checkpoint.c.size == told["log_size"])
    reserve.ask(unit, unit.connection.execute(statement).one(), told["block_time"])


def _pay(unit: Unit, policy: Policy, recall: Recall) -> None:
    _PAYMENTS[(recall.head.after or {})["kind"]](unit, policy, recall)


def _pay_mint(unit: Unit, policy: Policy, recall: Recall) -> None:
    batches.fund_one(unit, policy, _batch_row(unit, name(recall.head.subject)))


def _pay_unfund(unit: Unit, policy: Policy, recall: Recall) -> None:
    batches.unfund_one(unit, policy, _order(unit, name(recall.head.subject)))


def _pay_redemption(unit: Unit, policy: Policy, recall: Recall) -> None:
    statement = select(tables.redemption).where(tables.redemption.c.id == int(name(recall.head.subject)))
    row = unit.connection.execute(statement).one()
    redemptions.pay(unit, policy, row, redemptions.payable(unit.connection, row))


def _pay_back(unit: Unit, policy: Policy, recall: Recall) -> None:
    statement = select(tables.deposit).where(tables.deposit.c.reference == name(recall.head.subject))
    row = dict(unit.connection.execute(statement).mappings().one())
    kind = PayoutKind((recall.head.after or {})["kind"])
    deposits.send_back(unit, policy, row, kind, deposits.owner_of(row, kind))


def _release_redemption(unit: Unit, policy: Policy, recall: Recall) -> None:
    redemption_id = int(name(recall.head.subject))
    if redemptions.get(unit.connection, redemption_id)["seized_under"]:
        redemptions.approve(unit, redemption_id=redemption_id)
    else:
        redemptions.release(unit, policy, redemption_id=redemption_id)


def _hold_redemption(unit: Unit, _policy: Policy, recall: Recall) -> None:
    redemptions.hold(unit, int(name(recall.head.subject)), (recall.head.after or {})["reason"])


def _accept(unit: Unit, _policy: Policy, recall: Recall) -> None:
    case = name(recall.head.subject)
    row = _proposal(unit, (recall.head.after or {})["act"])
    if case == f"act:{row.act_id}":
        powers.accept(unit, row)
    else:
        powers.take_up(unit, act_id=row.act_id, case=case)


def _bind_key(unit: Unit, _policy: Policy, recall: Recall) -> None:
    operation = (recall.head.after or {})["operation"]
    requests.bind(unit, key=name(recall.head.subject), operation=operation, body_hash=requests.LOST, answer={})


def _use_power(unit: Unit, _policy: Policy, recall: Recall) -> None:
    kind, payload = recall.head.action.removeprefix("power."), _payload(recall.head)
    if kind == "cancel" and "act" in payload:
        payload["act"] = _proposal(unit, payload["act"]).act
    powers.order(unit, kind, payload, case=name(recall.head.subject))


def _proposal(unit: Unit, act: str | Mapping[str, Any]) -> Row[Any]:
    """The slow act that a record has whole, or by its hash."""
    act_id = keccak(bytes.fromhex(act[2:])) if isinstance(act, str) else act["keccak256"]
    return unit.connection.execute(select(tables.proposal).where(tables.proposal.c.act_id == act_id)).one()


def _payload(record: Record) -> dict[str, Any]:
    """What a power was told to do, from the text of its record."""
    kinds = schema.ACTIONS[record.action].after or {}
    read: dict[str, Callable[[Any], Any]] = {"CNH": parse_units, "digits": int}
    return {name: read.get(kinds[name].removesuffix("-"), _same)(value) for name, value in (record.after or {}).items()}


def _same(value: Any) -> Any:
    return value


def _lock(unit: Unit, _policy: Policy, recall: Recall) -> None:
    """What set it cannot be told again, such as a file that has been replaced."""
    told = recall.head.after or {}
    live = locks.find(unit.connection, Scope(told["scope"]), told["code"])
    if live is not None:
        # Set in this recovery, or in an earlier one: from now on it goes by the name that the log clears it by.
        recall.use_head()
        recall.renamed.append(("lock.engaged", f"lock:{live}", recall.head.subject))
        return
    remedy = "It was set before the database was restored: settle what it says, then clear the lock."
    locks.engage(unit, Scope(told["scope"]), told["code"], told["reason"], remedy)


def _unlock(unit: Unit, _policy: Policy, recall: Recall) -> None:
    locks.clear(unit, int(name(recall.head.subject)))


def _erase(unit: Unit, _policy: Policy, recall: Recall) -> None:
    """A backup must not bring back what was erased after it."""
    commitment = name(recall.head.subject)
    unit.connection.execute(delete(tables.salt).where(tables.salt.c.commitment == commitment))
    recall.use_head()


def _waiting_intent(unit: Unit, kind: str, subject: str) -> int:
    """The oldest intent that has not come to an end. Raises NotFound."""
    statement = (
        select(tables.intent.c.id)
        .where(tables.intent.c.kind == kind, tables.intent.c.subject == subject)
        .where(tables.intent.c.state.in_((IntentState.OPEN, IntentState.BOUND)))
        .order_by(tables.intent.c.id)
        .limit(1)
    )
    found = unit.connection.execute(statement).scalar()
    if found is None:
        raise NotFound(f"no {kind} of {subject} waits")
    return int(found)


def _order(unit: Unit, commitment: str) -> Row[Any]:
    return _one(unit, tables.mint_order, tables.mint_order.c.commitment, commitment)


def _orders(unit: Unit, commitments: Iterable[str]) -> list[Row[Any]]:
    """Mint orders as they are named, in that order. Raises NotFound."""
    wanted = list(commitments)
    statement = sets.among(unit.connection, _MINT_ORDERS, tables.mint_order.c.commitment)
    found = {row.commitment: row for row in unit.connection.execute(statement, {"among": wanted})}
    for commitment in wanted:
        if commitment not in found:
            raise NotFound(f"there is no mint_order {commitment}")
    return [found[commitment] for commitment in wanted]


def _batch_row(unit: Unit, reference: str) -> Row[Any]:
    return _one(unit, tables.batch, tables.batch.c.reference, reference)


def _one(unit: Unit, table: Table, column: Column[Any], value: str) -> Row[Any]:
    row = unit.connection.execute(select(table).where(column == value)).one_or_none()
    if row is None:
        raise NotFound(f"there is no {table.name} {value}")
    return row


_PAYMENTS: dict[str, Act] = {
    PayoutKind.MINT: _pay_mint,
    PayoutKind.UNFUND: _pay_unfund,
    PayoutKind.REDEEM: _pay_redemption,
    PayoutKind.REFUND: _pay_back,
    PayoutKind.RETURN: _pay_back,
}

_POWERS = [action for action in schema.ACTIONS if action.startswith("power.") and action != "power.accept"]

ACTS: dict[str, Act] = {
    "issuer.bound": _bind,
    "wallet.challenged": _challenge,
    "wallet.registered": _register,
    "mint.requested": _request_mint,
    "mint.approved": _decide(mints.approve),
    "mint.rejected": _decide(mints.reject),
    "mint.cancelled": _decide(mints.cancel),
    "mint.reserved": _reserve,
    "mint.batched": _batch,
    "mint.released": _release,
    "mint.refused": _refuse_mint,
    "transaction.refused": _refuse_transaction,
    "transaction.failed": _fail,
    "report.requested": _ask_for_report,
    "report.refused": _refuse_report,
    "payout.instructed": _pay,
    "redemption.held": _hold_redemption,
    "redemption.released": _release_redemption,
    **dict.fromkeys(_POWERS, _use_power),
    "power.accept": _accept,
    "lock.engaged": _lock,
    "lock.cleared": _unlock,
    "personal.erased": _erase,
    "request.accepted": _bind_key,
    **dict.fromkeys(
        (
            "request.refused",
            "transaction.given-up",
            "key.resumed",
            "key.fenced",
            "customer.restored",
            "redemption.restored",
            "recovery.begun",
            "recovery.ended",
        ),
        _nothing,
    ),
}


# -- what a person enters again


def _add_customer(head: Record, holder: str, account: str) -> Entry:
    jurisdiction = (head.after or {})["jurisdiction"]

    def act(unit: Unit, policy: Policy, _recall: Recall) -> None:
        customers.add(unit, policy, name=holder, bank_account=account, jurisdiction=jurisdiction)

    def then(unit: Unit) -> None:
        commitments = {"name": audit.commit_personal(unit, holder)}
        commitments |= {"bank_account": audit.commit_personal(unit, account)}
        audit.append(unit, "customer.restored", head.subject, after={**commitments, "jurisdiction": jurisdiction})

    return act, then


def _direct(head: Record, holder: str, account: str) -> Entry:
    case = (head.after or {})["case"]

    def act(unit: Unit, policy: Policy, _recall: Recall) -> None:
        payee = {"account": account, "name": holder, "case": case}
        redemptions.direct(unit, policy, redemption_id=int(name(head.subject)), **payee)

    def then(unit: Unit) -> None:
        after = {"case": case, "creditor": audit.commit_personal(unit, f"{account} {holder}")}
        audit.append(unit, "redemption.restored", head.subject, after=after)

    return act, then


ENTERED: dict[str, Callable[[Record, str, str], Entry]] = {
    "customer.added": _add_customer,
    "redemption.directed": _direct,
}
"""Records whose effect needs a name and an account, which only a person can give again."""


def alone(record: Record) -> Act | None:
    """What brings a record about, if neither a fact nor a person is needed."""
    return None if kinds(record) or record.action in ENTERED else ACTS.get(record.action)
