"""From an intent to the call that carries it out, and back, so that what is signed is compared with what was meant."""

from collections.abc import Mapping
from typing import Any

from issuer.chain.deployment import Deployment
from issuer.chain.keystore import Job
from issuer.errors import InvalidInput
from issuer.messages import contracts
from issuer.messages.abi import checksum, keccak
from issuer.messages.contracts import AUTHORITY
from issuer.store.intents import Intent

DIRECT = {
    "verify": ("token", Job.REGISTRAR),
    "unverify": ("token", Job.REGISTRAR),
    "freeze": ("token", Job.FREEZER),
    "stop": ("token", Job.GUARDIAN),
    "lower": ("minter", Job.GUARDIAN),
    "removeAttestor": ("feed", Job.GUARDIAN),
    "revoke": ("authority", Job.GUARDIAN),
    "grantRole": ("authority", Job.ADMIN),
    "revokeRole": ("authority", Job.ADMIN),
    "labelRole": ("authority", Job.ADMIN),
    "setRoleAdmin": ("authority", Job.ADMIN),
    "setRoleGuardian": ("authority", Job.ADMIN),
    "setGrantDelay": ("authority", Job.ADMIN),
    "setTargetAdminDelay": ("authority", Job.ADMIN),
    "setTargetFunctionRole": ("authority", Job.ADMIN),
}
"""Kinds that are a contract's function by its name, their payload its arguments by name; and whose job each is."""

JOBS = {
    "report": Job.SENDER,
    "mint": Job.SENDER,
    "cancel": Job.GUARDIAN,
    "propose": Job.ADMIN,
    "accept": Job.ADMIN,
    **{kind: job for kind, (_, job) in DIRECT.items()},
}
"""Whose job each kind of intent is."""

FENCE = "fence"
"""A bare transfer of a key to itself: it uses up a nonce, so that no transaction that was lost there is ever mined."""

DUTIES = (
    frozenset({FENCE}),
    *(frozenset(kind for kind, done_by in JOBS.items() if done_by is job) for job in dict.fromkeys(JOBS.values())),
)
"""Kinds of intents that wait for each other only: a key sends its own in order."""

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
            case "propose" | "accept" | "cancel":
                return deployment.address(told["contract"]), _slow(deployment, intent.kind, told)
            case "fence":
                return told["address"], "0x"
        contract, _ = DIRECT[intent.kind]
        item = contracts.CONTRACTS[contract].functions[intent.kind]
        return deployment.address(contract), item.encode(*(told[argument.name] for argument in item.inputs))
    except KeyError as error:
        raise InvalidInput(f"a {intent.kind} intent has no {error}") from error


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
    if contract == "authority" and function in _SCHEDULED:
        return _scheduled(deployment, function, arguments)
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


_SCHEDULED = {"schedule": "propose", "execute": "accept", "cancel": "cancel"}
"""The authority's own words for a slow act, which it does on itself in the name of who has scheduled it."""


def _slow(deployment: Deployment, kind: str, told: Mapping[str, Any]) -> str:
    """Calldata that proposes, accepts or cancels a slow act."""
    if told["contract"] != "authority":
        return contracts.TOKEN.call(kind, told["act_id"] if kind == "cancel" else told["act"])
    authority, act = deployment.authority, told["act"]
    match kind:
        case "propose":
            return AUTHORITY.call("schedule", authority, act, 0)
        case "accept":
            return AUTHORITY.call("execute", authority, act)
    return AUTHORITY.call("cancel", told["caller"], authority, act)


def _scheduled(deployment: Deployment, function: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What a call of the authority does to an act. Raises InvalidInput if that is on another contract, or later."""
    if (arguments["target"], arguments.get("when", 0)) != (deployment.authority, 0):
        raise InvalidInput(f"the authority is to {function} what is no act of ours")
    act = arguments["data"]
    payload = {"contract": "authority", "act": act}
    kind = _SCHEDULED[function]
    if kind == "cancel":
        payload |= {"act_id": keccak(bytes.fromhex(act[2:])), "caller": arguments["caller"]}
    return kind, payload
