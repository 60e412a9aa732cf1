"""From final logs to facts: one for each event that operations act on or record, one for all transfers of a block.

Every payload has "transaction", "block" and "timestamp" beside the event's arguments, by their names in the contract.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from issuer.chain.deployment import Deployment
from issuer.chain.rpc import Block, Log
from issuer.errors import MalformedDocument
from issuer.messages.abi import ZERO_ADDRESS
from issuer.messages.contracts import CONTRACTS
from issuer.store.facts import News

KINDS = {
    "Minted": "minted",
    "Redeemed": "redeemed",
    "ReportPosted": "reported",
    "Verified": "verified",
    "Unverified": "unverified",
    "Frozen": "frozen",
    "Unfrozen": "unfrozen",
    "Stopped": "stopped",
    "Resumed": "resumed",
    "Proposed": "proposed",
    "Accepted": "accepted",
    "Cancelled": "cancelled",
    "Seized": "seized",
    "Retired": "retired",
    "Rescued": "rescued",
    "ContractURIUpdated": "papers",
    "LimitSet": "limit",
    "PolicySet": "policy",
    "MinterSet": "minter",
    "FeedSet": "feed",
    "HookSet": "hook",
    "ReportAgeSet": "age",
    "Bound": "bound",
    "AttestorAdded": "attestor",
    "AttestorRemoved": "attestor",
    "QuorumSet": "attestor",
    "RoleGranted": "role",
    "RoleRevoked": "role",
    "RoleLabel": "role",
    "RoleAdminChanged": "role",
    "RoleGuardianChanged": "role",
    "RoleGrantDelayChanged": "role",
    "TargetClosed": "role",
    "TargetFunctionRoleUpdated": "role",
    "TargetAdminDelayUpdated": "role",
    "OperationScheduled": "role",
    "OperationExecuted": "role",
    "OperationCanceled": "role",
}
"""The kind of fact that an event becomes. Transfers are told by the block; memos are not told."""

Event = tuple[Log, str, str, dict[str, Any]]
"""A log with the contract's and the event's name and the arguments."""


def facts(deployment: Deployment, logs: Iterable[Log], blocks: Mapping[int, Block]) -> list[News]:
    """The facts of final logs, given in the chain's order, with their blocks by number.

    Raises MalformedDocument for a log that none of the contracts can have made.
    """
    found: list[News] = []
    for number, group in groupby(logs, key=lambda log: log.block_number):
        events = [_decode(deployment, log) for log in group]
        found += _moved(blocks[number], events)
        found += _events(blocks[number], events)
    return found


def _decode(deployment: Deployment, log: Log) -> Event:
    contract = deployment.name(log.address)
    item = CONTRACTS[contract].events.get(log.topics[0]) if contract and log.topics else None
    if contract is None or item is None:
        return log, contract or "", "", {}
    return log, contract, item.name, item.decode_log(log.topics, log.data)


def _moved(block: Block, events: Sequence[Event]) -> Iterator[News]:
    moves = [(log, found) for log, _, name, found in events if name == "Transfer"]
    if moves:
        transfers = [[found["from"], found["to"], found["value"]] for _, found in moves]
        payload = {"transfers": transfers, "block": block.number, "timestamp": block.timestamp}
        transactions = list(dict.fromkeys(log.transaction for log, _ in moves))
        yield News(key=f"moved:{block.number}", kind="moved", payload=payload | {"transactions": transactions})


def _events(block: Block, events: Sequence[Event]) -> Iterator[News]:
    for place, (log, contract, name, arguments) in enumerate(events):
        kind = KINDS.get(name)
        if kind is None:
            continue
        payload = _arguments(kind, contract, name, arguments)
        if kind in ("attestor", "minter", "feed"):
            payload["address"] = log.address
        payload |= _case(kind, events[place + 1 : place + 2])
        if kind == "minted":
            payload["orders"] = _orders(events[max(0, place - arguments["count"]) : place], log, arguments["count"])
        payload |= {"transaction": log.transaction, "block": block.number, "timestamp": block.timestamp}
        yield News(key=f"{block.number}:{log.index}", kind=kind, payload=payload)


def _arguments(kind: str, contract: str, name: str, found: dict[str, Any]) -> dict[str, Any]:
    match kind:
        case "minted":
            return {"first": found["first"], "reference": found["batchRoot"]}
        case "redeemed":
            named = {"account": found["account"], "id": found["id"], "value": found["value"]}
            return named | {"reference": found["instruction"]}
        case "reported":
            renamed = {"asOf": "as_of", "logRoot": "log_root", "logSize": "log_size"}
            return {renamed.get(key, key): value for key, value in found.items()}
    return found | {"contract": contract, "event": name}


def _case(kind: str, after: Sequence[Event]) -> dict[str, Any]:
    """Of a redemption that the token's next event calls a seizure: the case that it was done under."""
    seized = [arguments for _, _, name, arguments in after if kind == "redeemed" and name == "Seized"]
    return {"case": seized[0]["caseId"]} if seized else {}


def _orders(before: Sequence[Event], minted: Log, count: int) -> list[list[Any]]:
    """The orders of a mint: the transfers from nobody that its transaction made just before its own event."""
    made = [
        [found["to"], found["value"]]
        for log, _, name, found in before
        if name == "Transfer" and found["from"] == ZERO_ADDRESS and log.transaction == minted.transaction
    ]
    if len(made) != count:
        raise MalformedDocument(f"transaction {minted.transaction} minted {count} orders and shows {len(made)}")
    return made
