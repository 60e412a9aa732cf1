"""What each action's record holds: the documented schema of version 1, of which docs/records.md is printed.

A record that is not as this table says is a defect: tests check every record that a whole world writes. A change of
what an action records is a new action or, if it cannot be avoided, a new version of all records.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from issuer.audit.record import LONG, VERSION, Record
from issuer.errors import MalformedDocument

_FORMS = {
    "CNH": re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]{6}"),
    "money": re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]{2}"),
    "hash": re.compile(r"0x[0-9a-f]{64}"),
    "commitment": re.compile(r"0x[0-9a-f]{64}"),
    "address": re.compile(r"0x[0-9a-fA-F]{40}"),
    "bytes": re.compile(r"0x([0-9a-f]{2})*"),
    "digits": re.compile(r"[0-9]+"),
    "word": re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*"),
    "text": re.compile(r".+", re.DOTALL),
}

KINDS = {
    "CNH": "an amount of tokens or par: text with six decimals",
    "money": "an amount at the bank, in CNY on its messages: text with two decimals",
    "hash": "32 bytes, 0x and small hexadecimal digits",
    "commitment": "SHA-256 over a random salt and personal data; the salt and the data are kept elsewhere, or erased",
    "address": "an Ethereum address",
    "bytes": "bytes, 0x and small hexadecimal digits",
    "long": f"bytes, or, if they take more than {LONG} bytes as JSON, an object: their `keccak256` and their `length`",
    "digits": "a number of the chain, in decimal digits",
    "word": "a word of the issuer's, such as a state",
    "text": "text",
    "number": "an integer",
    "time": "seconds since 1970 UTC, an integer",
    "flag": "true or false",
}

Fields = Mapping[str, str]
"""Kinds by name; ``[kind]`` is a list, ``kind?`` may be null."""


@dataclass(frozen=True)
class Action:
    """What one action's record holds."""

    meaning: str
    subject: str  # the noun, and the form of its id
    after: Fields | None = None
    before: Fields | None = None
    evidence: str | None = None  # what the decision rests on; None: nothing is given


_CHAIN = "the transaction"
_BANK = "the bank's own reference of the entry: account, servicer's reference, detail"

_CHOICE = {"state": "word"}
_PAYMENT = {"message_id": "word"}
_REPORT = "report:NUMBER"
_EVENT = "event:BLOCK:INDEX"
_CASE = "case:CASE"
_ORDER = "order:ID"
_BATCH = "batch:ROOT"


def _told(**fields: str) -> Fields:
    return {"contract": "word", "event": "word", "transaction": "hash", **fields}


_ROLE = {"roleId": "digits", "account": "address"}
_TOKEN = {"token": "address"}
_SLOW = {"actId": "hash", "by": "address"}
_FREEZE = _told(account="address", freezeCount="digits")
_STOP = _told(stops="digits", stopCount="digits")
_CHANGED = {"previous": "address", "next": "address"}

ACTIONS: Mapping[str, Action] = {
    "issuer.bound": Action(
        "the log belongs to this token on this chain, for ever",
        "token:ADDRESS",
        {
            "chain_id": "number",
            "genesis": "hash",
            "token": "address",
            "feed": "address",
            "minter": "address",
            "attestors": "[address]",
            "quorum": "number",
        },
    ),
    "customer.added": Action(
        "a customer was registered",
        "customer:NUMBER",
        {"name": "commitment", "bank_account": "commitment", "jurisdiction": "word"},
    ),
    "wallet.challenged": Action(
        "a text was given to sign", "wallet:ADDRESS", {"customer": "number", "standing": "flag"}
    ),
    "wallet.registered": Action("a customer has proven control of a wallet", "wallet:ADDRESS", {"customer": "number"}),
    "wallet.verified": Action("the chain knows the wallet as verified", "wallet:ADDRESS", evidence=_CHAIN),
    "wallet.unverified": Action("the chain does not know it so any more", "wallet:ADDRESS", evidence=_CHAIN),
    "deposit.taken": Action(
        "money came in: a customer's, or nobody's",
        "deposit:REFERENCE",
        {"amount": "money", "state": "word", "customer": "number?", "sender": "commitment"},
        evidence=_BANK,
    ),
    "deposit.recalled": Action(
        "the bank took the credit back; what it was is before",
        "deposit:REFERENCE",
        {"amount": "money", "state": "word"},
        _CHOICE,
        evidence=_BANK,
    ),
    "entry.suspended": Action(
        "the bank booked what no order explains",
        "entry:REFERENCE",
        {"account": "word", "direction": "word", "amount": "money"},
    ),
    "mint.requested": Action(
        "a mint was ordered; the order's id is a leaf of its batch's root",
        _ORDER,
        {"customer": "number", "wallet": "address", "value": "CNH", "state": "word"},
    ),
    "mint.approved": Action("another person approved it", _ORDER, _CHOICE, _CHOICE),
    "mint.rejected": Action("another person refused it", _ORDER, _CHOICE, _CHOICE),
    "mint.cancelled": Action(
        "it was withdrawn before its money left for the reserve; by itself, with the reason, if its deposit went back",
        _ORDER,
        {**_CHOICE, "reason": "text-"},
        _CHOICE,
    ),
    "mint.reserved": Action("the customer's money is bound to it", _ORDER, {"value": "CNH"}),
    "mint.batched": Action(
        "orders go together, under the RFC 6962 root over their ids in this order",
        _BATCH,
        {"orders": "[hash]", "value": "CNH"},
        {"reference": "hash"},
    ),
    "mint.released": Action(
        "bank and auditor have signed for it; it may be sent", _BATCH, {"count": "number", "value": "CNH"}
    ),
    "mint.refused": Action("the contract would refuse it now", _BATCH, {"error": "word"}),
    "mint.failed": Action("one order of it can never be minted", _ORDER, {"error": "word"}),
    "mint.final": Action(
        "it is minted, finally: the number of the first order, and the ids in order",
        _BATCH,
        {"first": "number", "orders": "[hash]"},
        evidence=_CHAIN,
    ),
    "mint.unknown": Action("a final mint that nobody ordered", _BATCH, {"value": "CNH"}, evidence=_CHAIN),
    "redemption.burned": Action(
        "tokens were burned, finally; the id is everything ever burned, in units, after it",
        "redemption:ID",
        {"holder": "address", "value": "CNH", "reference": "hash", "state": "word", "reason": "text?"},
        evidence=_CHAIN,
    ),
    "redemption.held": Action("it cannot be paid now, or the bank would not", "redemption:ID", {"reason": "text"}),
    "redemption.released": Action("what held it is gone", "redemption:ID", before={"reason": "text?"}),
    "redemption.directed": Action(
        "the case that it was seized under orders it paid to this account; another person must approve",
        "redemption:ID",
        {"case": "word", "creditor": "commitment"},
    ),
    "redemption.restored": Action(
        "whom it is paid to was entered again after a restore; unless it was paid, another person must approve",
        "redemption:ID",
        {"case": "word", "creditor": "commitment"},
    ),
    "payout.instructed": Action(
        "a payment was ordered from the bank; par is what it discharges",
        "its cause",
        {
            "message_id": "word",
            "kind": "word",
            "amount": "money",
            "fee": "money",
            "par": "CNH",
            "creditor": "commitment",
        },
    ),
    "payout.accepted": Action("the bank took the order", "its cause", _PAYMENT),
    "payout.accepted-late": Action("the bank took the order that it had refused", "its cause", _PAYMENT),
    "payout.rejected": Action("the bank refused it", "its cause", {**_PAYMENT, "reason": "text"}),
    "payout.refused-late": Action(
        "the bank refused it after it had booked a part", "its cause", {**_PAYMENT, "reason": "text"}
    ),
    "payout.arrived": Action(
        "it was booked where it goes, and not yet where it leaves",
        "its cause",
        {**_PAYMENT, "amount": "money"},
        evidence=_BANK,
    ),
    "payout.partly-paid": Action(
        "a part of it was booked", "its cause", {**_PAYMENT, "amount": "money"}, evidence=_BANK
    ),
    "payout.taken-back": Action(
        "a part was taken back before all was booked", "its cause", {**_PAYMENT, "amount": "money"}, evidence=_BANK
    ),
    "payout.paid": Action(
        "all of it was booked, fee included", "its cause", {**_PAYMENT, "amount": "money"}, evidence=_BANK
    ),
    "payout.partly-returned": Action(
        "a part of it came back, and it is owed", "its cause", {**_PAYMENT, "amount": "money"}, evidence=_BANK
    ),
    "payout.returned": Action(
        "all of it, or the rest of it, came back", "its cause", {**_PAYMENT, "amount": "money"}, evidence=_BANK
    ),
    "report.requested": Action(
        "bank and auditor were asked for a report that anchors the log as it is, as of no later than a block",
        _REPORT,
        {"log_size": "number", "log_root": "hash", "withheld": "CNH", "block_time": "time"},
    ),
    "report.signed": Action(
        "one of them signed",
        _REPORT,
        {"signer": "address", "as_of": "time", "reserve": "CNH", "paid": "CNH", "credited": "CNH"},
    ),
    "report.attested": Action("the quorum signed; ascending by signer", _REPORT, {"signatures": "[bytes]"}),
    "report.refused": Action("one of them, the feed or the issuer refused", _REPORT, {"by": "word", "code": "word"}),
    "report.final": Action("it is on chain, finally", _REPORT, evidence=_CHAIN),
    "statement.taken": Action(
        "a bank statement was read",
        "statement:ACCOUNT:SEQUENCE",
        {"account": "word", "sequence": "number", "closing": "money"},
    ),
    "document.contradicted": Action(
        "the bank told something otherwise than before, and it was not taken", "document:NAME", {"what": "text"}
    ),
    "lock.engaged": Action(
        "something stops minting or payouts", "lock:NUMBER", {"scope": "word", "code": "word", "reason": "text"}
    ),
    "lock.cleared": Action("a person has lifted that", "lock:NUMBER", {"scope": "word", "code": "word"}),
    "request.accepted": Action(
        "somebody asked for something under this key, and it was done: the records before this one say what",
        "request:KEY",
        {"operation": "word"},
    ),
    "request.refused": Action(
        "somebody asked for what is refused", "request:KEY", {"operation": "word", "code": "word"}
    ),
    "transaction.failed": Action(
        "a transaction is final and did nothing", "the intent's", {"kind": "word", "outcome": "word"}
    ),
    "transaction.refused": Action(
        "the contract would refuse it, so it was not sent", "the intent's", {"kind": "word", "error": "word"}
    ),
    "transaction.given-up": Action("a person gave it up", "the intent's", before={"hash": "hash"}),
    "key.resumed": Action("a person lets a halted key send again", "key:ADDRESS", before={"halted": "text"}),
    "key.fenced": Action(
        "after a restore, bare transfers of the key to itself take the place of transactions that may have been lost",
        "key:ADDRESS",
        {"transactions": "number"},
    ),
    "recovery.begun": Action(
        "the database is older than what was published or sent: nothing leaves until it has caught up",
        "recovery:TIME",
        {"cause": "text", "known_until": "time"},
    ),
    "recovery.ended": Action("it has caught up, and chain, books and statements agree", "recovery:TIME"),
    "customer.restored": Action(
        "a person has entered again what a restored database had lost of a customer",
        "customer:NUMBER",
        {"name": "commitment", "bank_account": "commitment", "jurisdiction": "word"},
    ),
    "personal.erased": Action("what a commitment stands for was erased", "commitment:COMMITMENT"),
    # -- powers, as they are asked for
    "power.freeze": Action("freeze accounts", _CASE, {"accounts": "[address]"}),
    "power.verify": Action("mark wallets as verified", _CASE, {"accounts": "[address]"}),
    "power.unverify": Action("take that mark away", _CASE, {"accounts": "[address]"}),
    "power.stop": Action("stop transfers (1), mints (2), redemptions (4)", _CASE, {"stops": "digits"}),
    "power.lower": Action(
        "lower a minting limit; the refill is a second's", _CASE, {"key": "address", "capacity": "CNH", "refill": "CNH"}
    ),
    "power.removeAttestor": Action("remove an attestor at once", _CASE, {"attestor": "address"}),
    "power.revoke": Action("take a hot key's role away, by the guardian", _CASE, _ROLE),
    "power.grantRole": Action("give a role", _CASE, {**_ROLE, "executionDelay": "digits"}),
    "power.revokeRole": Action("take a role away, by the admin", _CASE, _ROLE),
    "power.labelRole": Action("name a role", _CASE, {"roleId": "digits", "label": "text"}),
    "power.setRoleAdmin": Action("set who gives and takes a role", _CASE, {"roleId": "digits", "admin": "digits"}),
    "power.setRoleGuardian": Action(
        "set who cancels what a role has scheduled", _CASE, {"roleId": "digits", "guardian": "digits"}
    ),
    "power.setGrantDelay": Action(
        "set how long the grant of a role waits, in seconds", _CASE, {"roleId": "digits", "newDelay": "digits"}
    ),
    "power.setTargetAdminDelay": Action(
        "set how long a contract's line in the table of roles waits to be changed, in seconds",
        _CASE,
        {"target": "address", "newDelay": "digits"},
    ),
    "power.setTargetFunctionRole": Action(
        "set which role may call a contract's functions",
        _CASE,
        {"target": "address", "selectors": "[bytes]", "roleId": "digits"},
    ),
    "power.propose": Action(
        "propose a slow act, as calldata; one of the authority's is scheduled",
        _CASE,
        {"contract": "word", "act": "bytes"},
    ),
    "power.accept": Action("accept it after its delay", "case:act:ID", {"contract": "word", "act": "long"}),
    "power.cancel": Action(
        "cancel it; the authority is told the act itself, and who has scheduled it",
        _CASE,
        {"contract": "word", "act_id": "hash", "act": "long-", "caller": "address-"},
    ),
    # -- powers, as the chain shows them, whoever used them
    "chain.frozen": Action("an account is frozen", _EVENT, _FREEZE, evidence=_CHAIN),
    "chain.unfrozen": Action("it is not any more", _EVENT, _FREEZE, evidence=_CHAIN),
    "chain.stopped": Action("acts are stopped", _EVENT, _STOP, evidence=_CHAIN),
    "chain.resumed": Action("they are not any more", _EVENT, _STOP, evidence=_CHAIN),
    "chain.proposed": Action("a slow act waits", _EVENT, _told(**_SLOW, act="long", readyAt="digits"), evidence=_CHAIN),
    "chain.accepted": Action("it was done", _EVENT, _told(**_SLOW), evidence=_CHAIN),
    "chain.cancelled": Action("it was cancelled", _EVENT, _told(**_SLOW), evidence=_CHAIN),
    "chain.seized": Action(
        "a frozen balance was seized under a case: it is owed as redeemed",
        _EVENT,
        _told(account="address", id="digits", value="CNH", caseId="hash"),
        evidence=_CHAIN,
    ),
    "chain.retired": Action("the token names its successor", _EVENT, _told(successor="address"), evidence=_CHAIN),
    "chain.rescued": Action(
        "tokens of another contract were sent on; the value is in their own units",
        _EVENT,
        _told(foreign="address", to="address", value="digits"),
        evidence=_CHAIN,
    ),
    "chain.papers": Action("what contractURI says was changed", _EVENT, _told(), evidence=_CHAIN),
    "chain.bound": Action("the feed belongs to this token, for ever", _EVENT, _told(**_TOKEN), evidence=_CHAIN),
    "chain.limit": Action(
        "a minting limit was set",
        _EVENT,
        _told(key="address", capacity="CNH", refill="CNH", version="digits"),
        evidence=_CHAIN,
    ),
    "chain.policy": Action("the policy was set", _EVENT, _told(required="digits", forbidden="digits"), evidence=_CHAIN),
    "chain.minter": Action("the minter was set", _EVENT, _told(**_CHANGED), evidence=_CHAIN),
    "chain.feed": Action("the feed was set", _EVENT, _told(**_CHANGED), evidence=_CHAIN),
    "chain.hook": Action("the hook was set", _EVENT, _told(**_CHANGED), evidence=_CHAIN),
    "chain.age": Action(
        "how long a report lives was set", _EVENT, _told(previous="digits", next="digits"), evidence=_CHAIN
    ),
    "chain.attestor": Action(
        "the set of attestors or its quorum was changed",
        _EVENT,
        _told(version="digits", attestor="address-", quorum="digits-"),
        evidence=_CHAIN,
    ),
    "chain.role": Action(
        "a right was given, taken or changed: its own arguments, those of any length as `long` ones",
        _EVENT,
        _told(),
        evidence=_CHAIN,
    ),
}
"""Every action, in the order of an order's life. A field whose kind ends in ``-`` may be missing."""

_OPEN = frozenset(("chain.role",))
"""Actions with other fields too: the arguments of OpenZeppelin's own events, under their names there."""


def check(record: Record) -> None:
    """Raise MalformedDocument unless a record is as its action is documented."""
    action = ACTIONS.get(record.action)
    if action is None:
        raise MalformedDocument(f"{record.action} is no documented action")
    noun = action.subject.partition(":")[0]
    if ":" in action.subject and record.subject.partition(":")[0] != noun:
        raise MalformedDocument(f"the subject of {record.action} is a {noun}, not {record.subject}")
    if (action.evidence is not None) != bool(record.evidence):
        raise MalformedDocument(f"{record.action} must rest on {action.evidence or 'nothing'}")
    _check_fields(f"{record.action} before", action.before, record.before, may_lack=record.action == "mint.batched")
    _check_fields(f"{record.action} after", action.after, record.after, open_=record.action in _OPEN)


def document() -> str:
    """The text of docs/records.md."""
    kinds = [f"| {kind} | {meaning} |" for kind, meaning in KINDS.items()]
    rows = [_row(name, action) for name, action in ACTIONS.items()]
    return _PREFACE + "\n".join(["| kind | is |", "|---|---|", *kinds, "", _INTRODUCTION, _HEADS, *rows, ""])


_PREFACE = f"""# The records of the log

Every entry of the log is one record of version {VERSION}: canonical JSON (RFC 8785) with exactly these members. An
integer is at most 2^53 - 1; what may be larger is text. Personal data is never in a record: only commitments to it.

| member | holds |
|---|---|
| `v` | {VERSION} |
| `at` | when it was decided, by the issuer's clock: seconds since 1970 UTC |
| `actor` | `service`, or a person as `operator:NAME` |
| `action` | one of the actions below |
| `subject` | what it is about, as `noun:id` |
| `before`, `after` | what the action changed, or null: the fields of the table below |
| `evidence` | what the decision rests on, as text |

The fields are of these kinds; `[kind]` is a list, `kind?` may be null, and `kind-` may be missing.

"""

_INTRODUCTION = (
    "This page is printed from the table that the tests check every record against (`issuer/audit/schema.py`).\n"
)

_HEADS = "| action | says | subject | fields after | fields before | evidence |\n|---|---|---|---|---|---|"


def _row(name: str, action: Action) -> str:
    cells = (f"`{name}`", action.meaning, action.subject, _listed(action.after), _listed(action.before))
    return f"| {' | '.join(cells)} | {action.evidence or ''} |"


def _listed(fields: Fields | None) -> str:
    return ", ".join(f"`{name}` {kind}" for name, kind in (fields or {}).items())


def _check_fields(
    where: str, fields: Fields | None, found: Mapping[str, Any] | None, *, open_: bool = False, may_lack: bool = False
) -> None:
    if fields is None or found is None:
        if found is not None or (fields is not None and not may_lack):
            raise MalformedDocument(f"{where} holds {found}, not {_listed(fields) or 'nothing'}")
        return
    needed = {name for name, kind in fields.items() if not kind.endswith("-")}
    if not needed <= found.keys() or not (open_ or found.keys() <= fields.keys()):
        raise MalformedDocument(f"{where} holds {', '.join(sorted(found))}, not {_listed(fields)}")
    for name, value in found.items():
        if name in fields and not _fits(fields[name].removesuffix("-"), value):
            raise MalformedDocument(f"{where}: {name} is {value!r}, which is no {fields[name]}")


def _fits(kind: str, value: Any) -> bool:
    if kind.endswith("?"):
        return value is None or _fits(kind[:-1], value)
    if kind.startswith("["):
        return isinstance(value, list | tuple) and all(_fits(kind[1:-1], item) for item in value)
    if kind == "flag":
        return isinstance(value, bool)
    if kind == "long":
        return _fits("bytes", value) or _is_short_form(value)
    if kind in ("number", "time"):
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, str) and _FORMS[kind].fullmatch(value) is not None


def _is_short_form(value: Any) -> bool:
    parts = {"keccak256": "hash", "length": "number"}
    return isinstance(value, dict) and value.keys() == parts.keys() and all(_fits(parts[k], value[k]) for k in parts)


if __name__ == "__main__":
    print(document(), end="")
