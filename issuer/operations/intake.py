"""Intake: every fact goes to the operation that turns it into state, in the order the facts came."""

from collections.abc import Callable
from typing import Any

from issuer import audit
from issuer.messages.contracts import explain
from issuer.operations import (
    batches,
    binding,
    bookings,
    holdings,
    locks,
    powers,
    redemptions,
    reserve,
    statements,
    wallets,
)
from issuer.operations.policy import Policy
from issuer.store import facts, intents, recovery, turn
from issuer.store.facts import Fact
from issuer.store.states import IntentState, Outcome, Scope
from issuer.store.unit import Store, Unit


def take(store: Store, policy: Policy) -> int:
    """Apply all new facts, each in its own unit of work, as long as no other process does; the number applied."""
    with store.read() as connection:
        waiting = facts.new(connection)
        whole = recovery.has_whole_log(connection)
    if not whole:
        return 0  # recovery is about to begin, and looks at these facts
    applied = 0
    for fact in waiting:
        with store.unit(f"apply {fact.kind}") as unit:
            if not turn.take(unit):
                break
            if facts.apply(unit, fact.id):
                apply(unit, policy, fact)
                applied += 1
    return applied


def apply(unit: Unit, policy: Policy, fact: Fact) -> None:
    """Turn one fact into state."""
    if fact.kind in _WITH_POLICY:
        _WITH_POLICY[fact.kind](unit, policy, fact)
    else:
        _PLAIN[fact.kind](unit, fact)


def _sent(unit: Unit, fact: Fact) -> None:
    """A transaction of ours is final. What it did comes as events; here only what it failed to do."""
    told = fact.payload
    done = told["outcome"] == Outcome.DONE
    intents.move(unit, told["intent_id"], IntentState.BOUND, IntentState.DONE if done else IntentState.VOID)
    if done:
        return
    not_done(unit, told)
    if told["outcome"] == Outcome.FOREIGN:
        _halted(unit, fact)


def not_done(unit: Unit, told: dict[str, Any]) -> None:
    """A transaction of ours is final and did nothing: what it was for is decided anew."""
    after = {"kind": told["kind"], "outcome": told["outcome"]}
    record = audit.append(unit, "transaction.failed", told["subject"], after=after)
    noun, _, named = told["subject"].partition(":")
    if told["kind"] == "mint":
        batches.wait(unit, named)
    elif told["kind"] == "verify" and noun == "wallet":
        wallets.not_verified(unit, told["intent_id"], named, record)
    elif told["kind"] == "report":
        reserve.not_posted(unit, told["subject"], told["outcome"])
    elif told["kind"] == "propose":
        powers.not_proposed(unit, told["intent_id"], f"its transaction is {told['outcome']}")
    elif told["kind"] == "accept":
        powers.not_accepted(unit, told["intent_id"], None)


def _halted(unit: Unit, fact: Fact) -> None:
    """A key of ours was used by somebody else; it has stopped sending."""
    reason = f"{fact.payload['signer']} has stopped sending: {fact.payload['reason']}"
    remedy = "The key is stolen or runs twice: stop minting on chain, rotate the key, then clear the lock."
    locks.engage(unit, Scope.MINTING, "foreign-nonce", reason, remedy)


def _stuck(unit: Unit, fact: Fact) -> None:
    told = fact.payload
    reason = f"transaction {told['transaction_id']} ({told['kind']}) is not mined, and {told['why']}"
    remedy = "Start the process with its key, wait for lower fees, or cancel it; then clear the lock."
    locks.engage(unit, Scope.MINTING, "stuck-transaction", reason, remedy)


def refused(unit: Unit, fact: Fact) -> None:
    """The contract would have refused a transaction, so it was never signed."""
    told = fact.payload
    intents.move(unit, told["intent_id"], IntentState.BOUND, IntentState.VOID)
    if told["kind"] == "mint":
        batches.refused(unit, fact)
    elif told["kind"] == "report":
        reserve.not_posted(unit, told["subject"], told["error"])
    else:
        after = {"kind": told["kind"], "error": told["error"]}
        audit.append(unit, "transaction.refused", told["subject"], after=after)
        reason = explain(told["error"], told["arguments"])
        if told["kind"] == "propose":
            powers.not_proposed(unit, told["intent_id"], reason)
        elif told["kind"] == "accept":
            powers.not_accepted(unit, told["intent_id"], reason)


def _broken(unit: Unit, fact: Fact) -> None:
    """A block that was final is contradicted: nothing may rest on the chain until a person decides."""
    told = fact.payload
    reason = f"block {told['number']} was final as {told['expected']}, now the node says {told['found']}"
    remedy = "Find out which chain is right; restore from a backup if need be; then clear the lock."
    for scope in (Scope.MINTING, Scope.PAYOUTS):
        locks.engage(unit, scope, "broken-finality", reason, remedy)


def _disputed(unit: Unit, fact: Fact) -> None:
    """Two nodes name two final blocks of one number: one of them lies, or finality is broken."""
    told = fact.payload
    reason = f"block {told['number']} is final as {told['first']} on one node and as {told['second']} on the other"
    remedy = "Find out which node is right, set RPC_URL and RPC_URL_2 to nodes of that chain, then clear the lock."
    for scope in (Scope.MINTING, Scope.PAYOUTS):
        locks.engage(unit, scope, "nodes-disagree", reason, remedy)


def _low_gas(unit: Unit, fact: Fact) -> None:
    told = fact.payload
    reason = f"the {told['role']} key {told['address']} has too little gas money"
    locks.engage(unit, Scope.MINTING, "low-gas", reason, "Send it gas money, then clear the lock.")


def _malformed(unit: Unit, fact: Fact) -> None:
    reason = f"{fact.payload['name']} cannot be read: {fact.payload['what']}"
    # What a notice says of payouts is not known either, nor what those after it say.
    for scope in (Scope.MINTING, Scope.PAYOUTS) if fact.payload["holds_up"] else (Scope.MINTING,):
        locks.engage(unit, scope, "malformed-document", reason, "Ask the bank for it again, then clear the lock.")


def _contradicted(unit: Unit, fact: Fact) -> None:
    """The bank tells otherwise what it has told before: what is true, people must find out."""
    told = fact.payload
    audit.append(unit, "document.contradicted", f"document:{told['name']}", after={"what": told["what"]})
    reason = f"{told['name']} says otherwise of {told['what']} than the bank did before"
    remedy = "Nothing of that was taken. Ask the bank what is true, settle the difference, then clear the lock."
    for scope in (Scope.MINTING, Scope.PAYOUTS):
        locks.engage(unit, scope, "contradiction", reason, remedy)


def _replaced(unit: Unit, fact: Fact) -> None:
    """Another minter or feed, or other attestors."""
    before = binding.get(unit.connection)
    binding.follow(unit, fact)
    powers.observed(unit, fact)
    reserve.signers_changed(unit, before)
    batches.try_again(unit)


def _eased(unit: Unit, fact: Fact) -> None:
    """An act goes on, or a limit is another."""
    powers.observed(unit, fact)
    batches.try_again(unit)


_WITH_POLICY: dict[str, Callable[[Unit, Policy, Fact], None]] = {
    "entry": bookings.take,
    "redeemed": redemptions.burned,
}

_OBSERVED = (
    "frozen",
    "unfrozen",
    "stopped",
    "policy",
    "hook",
    "age",
    "seized",
    "rescued",
    "papers",
    "bound",
)

_PLAIN: dict[str, Callable[[Unit, Fact], None]] = {
    **dict.fromkeys(_OBSERVED, powers.observed),
    **dict.fromkeys(("resumed", "limit"), _eased),
    **dict.fromkeys(("minter", "feed", "attestor"), _replaced),
    "role": powers.ruled,
    "retired": powers.retired,
    "status": bookings.status,
    "statement": statements.take,
    "report": reserve.signed,
    "refusal": reserve.refused,
    "malformed": _malformed,
    "contradiction": _contradicted,
    "minted": batches.minted,
    "moved": holdings.moved,
    "verified": wallets.verified,
    "unverified": wallets.unverified,
    "reported": reserve.posted,
    "proposed": powers.proposed,
    "accepted": powers.accepted,
    "cancelled": powers.cancelled,
    "sent": _sent,
    "refused": refused,
    "halted": _halted,
    "stuck": _stuck,
    "broken": _broken,
    "disputed": _disputed,
    "low-gas": _low_gas,
}

KINDS = (*_WITH_POLICY, *_PLAIN)
"""Every kind of fact."""
