"""The contracts as the issuer speaks with them: exactly the functions, events and errors it uses.

Written by hand so that reading a log needs no compiler; a test compares every line with the compiler's own ABI.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from issuer.errors import InvalidInput, MalformedDocument
from issuer.messages.abi import Item, checksum
from issuer.money import format_units

TRANSFER, MINT, REDEEM = 1, 2, 4
"""The bits of a stop."""

VERIFIED, FROZEN = 1, 2
"""The bits of an account's status."""

WINDOW = "0x0000000000000000000000000000000000000000"
"""The name of the limit above all minting keys."""

REPORT = (
    "(address token, uint64 number, uint256 reserve, uint256 paid, uint256 credited, uint64 asOf, bytes32 logRoot,"
    " uint64 logSize)"
)


@dataclass(frozen=True)
class Contract:
    """One contract's functions by name, and its events by topic."""

    name: str
    functions: dict[str, Item]
    events: dict[str, Item]

    def call(self, function: str, *arguments: Any) -> str:
        """Calldata, 0x-hex. Raises InvalidInput if an argument does not fit."""
        return self.functions[function].encode(*arguments)

    def decode_call(self, data: str) -> tuple[str, dict[str, Any]]:
        """The function's name and arguments of calldata. Raises InvalidInput for a function that is not used here."""
        for item in self.functions.values():
            if item.selector == data[:10].lower():
                return item.name, item.decode(data)
        raise InvalidInput(f"{data[:10]} is no function that the issuer calls on {self.name}")

    def output(self, function: str, data: str) -> dict[str, Any]:
        """What a function returned, by name."""
        return self.functions[function].decode_output(data)


def _contract(name: str, functions: Iterable[str], events: Iterable[str]) -> Contract:
    called = [Item.parse(line) for line in functions]
    emitted = [Item.parse(line) for line in events]
    return Contract(name, {item.name: item for item in called}, {item.topic: item for item in emitted})


_SLOW_ACTS = (
    "propose(bytes act) returns (bytes32 actId)",
    "accept(bytes act)",
    "cancel(bytes32 actId)",
    "readyAt(bytes32 actId) returns (uint48)",
    "DELAY() returns (uint32)",
)

_SLOW_EVENTS = (
    "Proposed(bytes32 indexed actId, bytes act, uint48 readyAt, address by)",
    "Accepted(bytes32 indexed actId, address by)",
    "Cancelled(bytes32 indexed actId, address by)",
)

TOKEN = _contract(
    "token",
    (
        "transfer(address to, uint256 value) returns (bool)",
        "transferWithMemo(address to, uint256 value, bytes32 memo) returns (bool)",
        "redeem(uint256 value, bytes32 instruction)",
        "verify(address[] accounts)",
        "unverify(address[] accounts)",
        "freeze(address[] accounts)",
        "stop(uint8 stops)",
        "resume(uint8 stops, uint32 stopCount)",
        "unfreeze(address account, uint32 freezeCount)",
        "setMinter(address current, address next)",
        "setFeed(address current, address next)",
        "setHook(address current, address next)",
        "setPolicy(uint16 currentRequired, uint16 currentForbidden, uint16 required, uint16 forbidden)",
        "setReportAge(uint32 current, uint32 next)",
        "seize(address account, uint256 balance, uint256 value, bytes32 caseId)",
        "retire(address next)",
        "setContractURI(bytes32 currentHash, string next)",
        "rescue(address foreign, address to, uint256 value)",
        "totalSupply() returns (uint256)",
        "balanceOf(address account) returns (uint256)",
        "redeemed() returns (uint256)",
        "liabilities() returns (uint256)",
        "nextNumber() returns (uint64)",
        "minter() returns (address)",
        "feed() returns (address)",
        "reportAge() returns (uint32)",
        "successor() returns (address)",
        "contractURI() returns (string)",
        "accountOf(address account) returns (uint256 balance, uint16 status, uint32 freezeCount)",
        "rules() returns (uint16 required, uint16 forbidden, uint8 stops, uint32 stopCount, address hook)",
        "canTransfer(address spender, address from, address to, uint256 value) returns (bool allowed, bytes reason)",
        *_SLOW_ACTS,
    ),
    (
        "Transfer(address indexed from, address indexed to, uint256 value)",
        "Memo(address indexed from, address indexed to, bytes32 indexed memo, uint256 value)",
        "Minted(uint64 indexed first, uint64 count, bytes32 indexed batchRoot)",
        "Redeemed(address indexed account, uint256 indexed id, uint256 value, bytes32 indexed instruction)",
        "Verified(address indexed account)",
        "Unverified(address indexed account)",
        "Frozen(address indexed account, uint32 freezeCount)",
        "Unfrozen(address indexed account, uint32 freezeCount)",
        "Stopped(uint8 stops, uint32 stopCount)",
        "Resumed(uint8 stops, uint32 stopCount)",
        "MinterSet(address indexed previous, address indexed next)",
        "FeedSet(address indexed previous, address indexed next)",
        "HookSet(address indexed previous, address indexed next)",
        "PolicySet(uint16 required, uint16 forbidden)",
        "ReportAgeSet(uint32 previous, uint32 next)",
        "Seized(address indexed account, uint256 indexed id, uint256 value, bytes32 indexed caseId)",
        "Retired(address indexed successor)",
        "Rescued(address indexed foreign, address indexed to, uint256 value)",
        "ContractURIUpdated()",
        *_SLOW_EVENTS,
    ),
)

MINTER = _contract(
    "minter",
    (
        "mint(uint64 first, bytes32 batchRoot, uint256[] orders)",
        "lower(address key, uint64 capacity, uint64 refill)",
        "raise(address key, uint32 version, uint64 capacity, uint64 refill)",
        "bucketOf(address key) returns (uint64 capacity, uint64 refill, uint64 available, uint32 version)",
        *_SLOW_ACTS,
    ),
    ("LimitSet(address indexed key, uint64 capacity, uint64 refill, uint32 version)", *_SLOW_EVENTS),
)

FEED = _contract(
    "feed",
    (
        f"post({REPORT} report, bytes[] signatures)",
        "removeAttestor(address attestor)",
        "addAttestor(uint32 version, address attestor)",
        "replaceAttestor(uint32 version, address current, address next)",
        "setQuorum(uint32 version, uint8 quorum)",
        f"latestReport() returns ({REPORT} report)",
        "isAttestor(address account) returns (bool)",
        "attestorSet() returns (uint8 quorum, uint8 count, uint32 version)",
        *_SLOW_ACTS,
    ),
    (
        "Bound(address indexed token)",
        "ReportPosted(uint64 indexed number, uint256 reserve, uint256 paid, uint256 credited, uint64 asOf,"
        " bytes32 indexed logRoot, uint64 logSize)",
        "AttestorAdded(address indexed attestor, uint32 version)",
        "AttestorRemoved(address indexed attestor, uint32 version)",
        "QuorumSet(uint8 quorum, uint32 version)",
        *_SLOW_EVENTS,
    ),
)

AUTHORITY = _contract(
    "authority",
    (
        "revoke(uint64 roleId, address account)",
        "grantRole(uint64 roleId, address account, uint32 executionDelay)",
        "revokeRole(uint64 roleId, address account)",
        "labelRole(uint64 roleId, string label)",
        "setRoleAdmin(uint64 roleId, uint64 admin)",
        "setRoleGuardian(uint64 roleId, uint64 guardian)",
        "setGrantDelay(uint64 roleId, uint32 newDelay)",
        "setTargetAdminDelay(address target, uint32 newDelay)",
        "setTargetFunctionRole(address target, bytes4[] selectors, uint64 roleId)",
        "schedule(address target, bytes data, uint48 when) returns (bytes32 operationId, uint32 nonce)",
        "execute(address target, bytes data) returns (uint32)",
        "cancel(address caller, address target, bytes data) returns (uint32)",
        "getTargetAdminDelay(address target) returns (uint32)",
        "rolesOf(address account) returns (uint256 roles)",
        "hasRole(uint64 roleId, address account) returns (bool isMember, uint32 executionDelay)",
        "getAccess(uint64 roleId, address account) returns (uint48 since, uint32 currentDelay, uint32 pendingDelay,"
        " uint48 effect)",
        "getTargetFunctionRole(address target, bytes4 selector) returns (uint64)",
    ),
    (
        "RoleGranted(uint64 indexed roleId, address indexed account, uint32 delay, uint48 since, bool newMember)",
        "RoleRevoked(uint64 indexed roleId, address indexed account)",
        "RoleLabel(uint64 indexed roleId, string label)",
        "RoleAdminChanged(uint64 indexed roleId, uint64 indexed admin)",
        "RoleGuardianChanged(uint64 indexed roleId, uint64 indexed guardian)",
        "RoleGrantDelayChanged(uint64 indexed roleId, uint32 delay, uint48 since)",
        "TargetClosed(address indexed target, bool closed)",
        "TargetFunctionRoleUpdated(address indexed target, bytes4 selector, uint64 indexed roleId)",
        "TargetAdminDelayUpdated(address indexed target, uint32 delay, uint48 since)",
        "OperationScheduled(bytes32 indexed operationId, uint32 indexed nonce, uint48 schedule, address caller,"
        " address target, bytes data)",
        "OperationExecuted(bytes32 indexed operationId, uint32 indexed nonce)",
        "OperationCanceled(bytes32 indexed operationId, uint32 indexed nonce)",
    ),
)

BOOTSTRAP = _contract(
    "bootstrap",
    (
        "run((address authority, address token, address minter, address feed,"
        " (uint64 id, uint64 admin, uint64 guardian, uint32 grantDelay, string label)[] roles,"
        " (uint64 role, address account)[] grants,"
        " (address target, uint64 role, bytes4[] selectors)[] permissions,"
        " address[] targets, uint32 adminDelay,"
        " (address key, uint64 capacity, uint64 refill)[] limits,"
        " address[] attestors, uint8 quorum) wiring)",
        "done() returns (bool)",
    ),
    (),
)

CONSTRUCTORS = {
    "Bootstrap": Item.parse("constructor(address deployer, address admin)"),
    "Authority": Item.parse("constructor(address initialAdmin, uint256[] conflicts)"),
    "ReserveFeed": Item.parse("constructor(address authority, uint64 attestorRole, uint32 delay)"),
    "OffshoreYuan": Item.parse("constructor(address authority, address feed, uint32 delay)"),
    "Minter": Item.parse("constructor(address authority, address token, uint64 mintingKey, uint32 delay)"),
}
"""What each contract is built with, by the name of its source."""

CONTRACTS = {contract.name: contract for contract in (TOKEN, MINTER, FEED, AUTHORITY)}

ERRORS = {
    item.selector: item
    for item in map(
        Item.parse,
        (
            # Solidity's own
            "Error(string message)",
            "Panic(uint256 code)",
            # ERC-6093
            "ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)",
            "ERC20InvalidSender(address sender)",
            "ERC20InvalidReceiver(address receiver)",
            "ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed)",
            "ERC20InvalidApprover(address approver)",
            "ERC20InvalidSpender(address spender)",
            # token
            "ActStopped(uint8 stop)",
            "AccountFrozen(address account)",
            "AccountNotVerified(address account)",
            "AccountStatusRefused(address account, uint16 status)",
            "ZeroValue()",
            "NotMinter(address caller)",
            "WrongNumber(uint64 first, uint64 next)",
            "EmptyBatch()",
            "ReportTooOld(uint256 asOf)",
            "Unbacked(uint256 liabilities, uint256 reserve)",
            "NotCredited(uint256 minted, uint256 credited)",
            "PaidTwice(uint256 paid, uint256 redeemed)",
            "FractionOfFen(uint256 value)",
            "InvalidStops(uint8 stops)",
            "InvalidPolicy(uint16 required, uint16 forbidden)",
            "InvalidReportAge(uint32 reportAge)",
            "NotOurs(address part)",
            "InvalidHook(address hook)",
            "AlreadyBound(address bound)",
            "NotFrozen(address account)",
            "NoCase()",
            "InvalidSuccessor(address successor)",
            "AlreadyRetired(address successor)",
            # signatures
            "SignatureRefused(address signer)",
            "PermitExpired(uint256 deadline)",
            "AuthorizationNotValidNow(uint256 validAfter, uint256 validBefore)",
            "AuthorizationUsedOrCanceled(address authorizer, bytes32 nonce)",
            "NotRecipient(address caller)",
            # slow acts
            "NotAllowed(address caller, bytes4 selector)",
            "OnlyBySlowAct()",
            "NoDelay()",
            "AlreadyProposed(bytes32 actId, uint48 readyAt)",
            "NotProposed(bytes32 actId)",
            "NotReady(bytes32 actId, uint48 readyAt)",
            "Expired(bytes32 actId, uint48 expiresAt)",
            "OutOfDate()",
            "Rehearsed()",
            # minter
            "AlreadyOpen()",
            "NoWindow()",
            "NoBucket(address key)",
            "OverLimit(address key, uint256 available, uint256 asked)",
            "NotLower(uint64 capacity, uint64 refill)",
            "NotHigher(uint64 capacity, uint64 refill)",
            # feed
            "InvalidToken(address token)",
            "WrongToken(address token)",
            "StaleNumber(uint64 number, uint64 latest)",
            "InvalidAsOf(uint64 asOf, uint64 latest, uint256 blockTime)",
            "AmountTooLarge(uint256 amount)",
            "LogRewritten(uint64 size, uint64 latest)",
            "TooFewSignatures(uint256 given, uint256 quorum)",
            "SignersNotAscending(address signer, address previous)",
            "NotAnAttestor(address signer)",
            "InvalidSignature(uint256 index)",
            "AlreadyAttestor(address attestor)",
            "InvalidAttestor(address attestor)",
            "InvalidQuorum(uint256 quorum, uint256 attestors)",
            # authority
            "NotDeployer(address caller)",
            "AlreadyRun()",
            "RolesConflict(address account, uint64 roleId, uint256 held)",
            "UnknownRole(uint64 roleId)",
            "NotRevocable(uint64 roleId)",
            "NoRoleForAuthority()",
            "ClosingRefused()",
            # OpenZeppelin
            "AccessManagerAlreadyScheduled(bytes32 operationId)",
            "AccessManagerBadConfirmation()",
            "AccessManagerExpired(bytes32 operationId)",
            "AccessManagerInvalidInitialAdmin(address initialAdmin)",
            "AccessManagerLockedFunction(bytes4 selector)",
            "AccessManagerLockedRole(uint64 roleId)",
            "AccessManagerNotReady(bytes32 operationId)",
            "AccessManagerNotScheduled(bytes32 operationId)",
            "AccessManagerUnauthorizedAccount(address msgsender, uint64 roleId)",
            "AccessManagerUnauthorizedCall(address caller, address target, bytes4 selector)",
            "AccessManagerUnauthorizedCancel(address msgsender, address caller, address target, bytes4 selector)",
            "AccessManagerUnauthorizedConsume(address target)",
            "AddressEmptyCode(address target)",
            "FailedCall()",
            "InsufficientBalance(uint256 balance, uint256 needed)",
            "SafeERC20FailedOperation(address token)",
            "SafeCastOverflowedUintDowncast(uint8 bits, uint256 value)",
            "InvalidShortString()",
            "StringTooLong(string str)",
            "NoSuchRound(uint80 roundId)",
        ),
    )
}


_ERRORS_BY_NAME = {item.name: item for item in ERRORS.values()}

_AMOUNTS = frozenset(
    (
        "allowance",
        "amount",
        "asked",
        "available",
        "balance",
        "capacity",
        "credited",
        "liabilities",
        "minted",
        "needed",
        "paid",
        "redeemed",
        "refill",
        "reserve",
        "value",
    )
)
"""Arguments of errors that are amounts of tokens, in units."""


def explain(error: str, values: Iterable[Any]) -> str:
    """An error of the contracts as people read it: its name, and its arguments by theirs, with amounts as CNH."""
    item = _ERRORS_BY_NAME.get(error)
    if item is None:
        return f"{error}({', '.join(map(str, values))})"
    said = (_said(argument.name, value) for argument, value in zip(item.inputs, values, strict=False))
    return f"{error}({', '.join(said)})"


def _said(name: str, value: Any) -> str:
    return f"{name} {format_units(value)} CNH" if name in _AMOUNTS else f"{name} {value}"


def decode_error(data: str) -> tuple[str, dict[str, Any]]:
    """The name and arguments of what a call reverted with; ``unknown`` with the bytes if it is none of ours."""
    item = ERRORS.get(data[:10].lower())
    try:
        return (item.name, item.decode(data)) if item else ("unknown", {"data": data})
    except MalformedDocument:
        return "unknown", {"data": data}


def pack_order(recipient: str, value: int) -> int:
    """One order of a batch as its word: recipient in the upper 160 bits, value in units in the lower 96.

    Raises InvalidInput if either does not fit.
    """
    if not 0 < value < 2**96:
        raise InvalidInput(f"{value} units are not an order's value")
    return int(checksum(recipient), 16) << 96 | value


def unpack_order(word: int) -> tuple[str, int]:
    """Recipient and value in units of an order's word."""
    return checksum(f"0x{word >> 96:040x}"), word & (2**96 - 1)


def mint_call(first: int, reference: str, orders: Sequence[Sequence[Any]]) -> str:
    """Calldata that mints a batch of [recipient, value] through the minter."""
    return MINTER.call("mint", first, reference, [pack_order(recipient, value) for recipient, value in orders])


def post_call(report: dict[str, Any], signatures: Sequence[str]) -> str:
    """Calldata that posts a signed reserve report to the feed."""
    return FEED.call("post", report, list(signatures))
