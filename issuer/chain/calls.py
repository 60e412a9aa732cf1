"""From an intent to the call that carries it out, and back, so that what is signed is compared with what was meant."""

from typing import Any

from issuer.chain.deployment import Deployment
from issuer.chain.keystore import Job
from issuer.errors import InvalidInput
from issuer.messages import contracts
from issuer.messages.abi import checksum
from issuer.store.intents import Intent

JOBS = {
    "report": Job.SENDER,
    "mint": Job.SENDER,
    "verify": Job.REGISTRAR,
    "unverify": Job.REGISTRAR,
    "freeze": Job.FREEZER,
    "stop": Job.GUARDIAN,
    "lower": Job.GUARDIAN,
    "cancel": Job.GUARDIAN,
    "propose": Job.ADMIN,
    "accept": Job.ADMIN,
}
"""Whose job each kind of intent is."""

FENCE = "fence"
"""A bare transfer of a key to itself: it uses up a nonce, and any transaction that was lost at it can never be mined."""

Target = tuple[str, str]
"""Address and calldata."""


def job(intent: Intent) -> Job:
    """Whose job an intent is."""
    return Job(intent.payload["job"]) if intent.kind == FENCE else JOBS[intent.kind]


def encode(deployment: Deployment, intent: Intent, *, first: int = 0) -> Target:
    """The call that does what an intent says; ``first`` is the number of a mint's first order.

    Raises InvalidInput if the intent is of no known kind, or its payload does not fit the call.
    """
    told = intent.payload
    try:
        match intent.kind:
            case "report":
                return deployment.feed, contracts.post_call(told["report"], told["signatures"])
            case "mint":
                return deployment.minter, contracts.mint_call(first, told["reference"], told["orders"])
            case "verify" | "unverify" | "freeze":
                return deployment.token, contracts.TOKEN.call(intent.kind, told["accounts"])
            case "stop":
                return deployment.token, contracts.TOKEN.call("stop", told["stops"])
            case "lower":
                return deployment.minter, contracts.MINTER.call("lower", told["key"], told["capacity"], told["refill"])
            case "propose" | "accept":
                return deployment.address(told["contract"]), contracts.TOKEN.call(intent.kind, told["act"])
            case "cancel":
                return deployment.address(told["contract"]), contracts.TOKEN.call("cancel", told["act_id"])
            case "fence":
                return told["address"], "0x"
    except KeyError as error:
        raise InvalidInput(f"a {intent.kind} intent has no {error}") from error
    raise InvalidInput(f"{intent.kind} is nothing that the chain door can send")


def describe(deployment: Deployment, target: str, data: str) -> tuple[str, dict[str, Any]]:
    """The kind and payload of the intent that a call would carry out, read from the call alone.

    Raises InvalidInput or MalformedDocument if it is no call of ours.
    """
    contract = deployment.name(checksum(target))
    keys = {address: name for name, address in deployment.keys.items()}
    if data == "0x" and checksum(target) in keys:
        return FENCE, {"job": keys[checksum(target)], "address": checksum(target)}
    if contract is None:
        raise InvalidInput(f"{target} is none of the contracts")
    function, arguments = contracts.CONTRACTS[contract].decode_call(data)
    match function:
        case "post":
            return "report", arguments
        case "mint":
            orders = [list(contracts.unpack_order(word)) for word in arguments["orders"]]
            return "mint", {"reference": arguments["batchRoot"], "orders": orders}
        case "propose" | "accept":
            return function, {"contract": contract, "act": arguments["act"]}
        case "cancel":
            return "cancel", {"contract": contract, "act_id": arguments["actId"]}
    return function, arguments
