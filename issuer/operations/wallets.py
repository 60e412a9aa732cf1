"""Wallets: an address whose control a customer has proven, and which the chain then knows as verified (R-25, R-46)."""

from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from issuer import audit
from issuer.clock import utc
from issuer.errors import NotFound, Refused
from issuer.operations import customers, powers
from issuer.operations.policy import Policy
from issuer.operations.transitions import move
from issuer.store import intents, turn
from issuer.store.facts import Fact
from issuer.store.states import Door, IntentState, WalletState
from issuer.store.tables import intent, transaction, wallet
from issuer.store.unit import Unit

_FIND = select(wallet).where(wallet.c.address == bindparam("wallet"))


def challenge(unit: Unit, policy: Policy, *, customer_id: int, address: str, standing: bool) -> dict[str, Any]:
    """Give a customer the text to sign with a wallet; asking again replaces it until the wallet is registered.

    Raises NotFound, or Refused if the wallet is registered already.
    """
    turn.wait(unit)
    customers.get(unit.connection, customer_id)
    known = _find(unit.connection, address)
    if known is not None and known["state"] != WalletState.CHALLENGED:
        raise Refused(f"{address} is registered to customer {known['customer_id']}", "Use another wallet.")
    if standing and _standing(unit.connection, customer_id, address):
        raise Refused("the customer has a standing instruction to another wallet", "Register this one without it.")
    expires = unit.now + policy.challenge_seconds
    text = _text(address, customer_id, unit.random_bytes(16).hex(), expires)
    values = {"customer_id": customer_id, "challenge": text, "expires": expires, "standing": standing, "at": unit.now}
    if known is None:
        statement = insert(wallet).values(address=address, state=WalletState.CHALLENGED, **values)
        unit.connection.execute(statement)
    else:
        unit.connection.execute(update(wallet).where(wallet.c.address == address).values(**values))
    audit.append(unit, "wallet.challenged", f"wallet:{address}", after={"customer": customer_id, "standing": standing})
    return get(unit.connection, address)


def register(unit: Unit, *, address: str, text: str, controlled: bool) -> dict[str, Any]:
    """Accept or refuse the signature over a wallet's challenge, and have the chain told.

    `text` is the challenge that was checked outside and `controlled` what the check found (EIP-191 or ERC-1271).
    Raises NotFound, or Refused if the challenge is not this one, has expired, or was not signed by the wallet.
    """
    turn.wait(unit)
    row = get(unit.connection, address)
    if row["state"] != WalletState.CHALLENGED:
        raise Refused(f"{address} is {row['state']} already", "See `issuer wallet list`.")
    if row["challenge"] != text or unit.now > row["expires"]:
        raise Refused("the challenge has expired or was replaced", "Ask for a new one with `issuer wallet challenge`.")
    if not controlled:
        raise Refused(f"the signature is not {address}'s over this challenge", "Sign the exact text with that wallet.")
    move(unit, wallet, address, WalletState.CHALLENGED, WalletState.REGISTERED)
    record = audit.append(unit, "wallet.registered", f"wallet:{address}", after={"customer": row["customer_id"]})
    _mark(unit, address, record)
    return get(unit.connection, address)


def verified(unit: Unit, fact: Fact) -> None:
    """The verified bit of an address is final on chain."""
    address = fact.payload["account"]
    row = _find(unit.connection, address)
    audit.append(unit, "wallet.verified", f"wallet:{address}", evidence=[fact.payload["transaction"]])
    if row is not None and row["state"] == WalletState.REGISTERED:
        move(unit, wallet, address, WalletState.REGISTERED, WalletState.VERIFIED)


def not_verified(unit: Unit, intent_id: int, address: str, record_id: int) -> None:
    """The chain was to be told of a wallet, and the transaction came to nothing: it is told again.

    Not if nobody's mark is due any more: the wallet has it, or a person has had it taken away meanwhile.
    """
    row = _find(unit.connection, address)
    if row is None or row["state"] != WalletState.REGISTERED or _was_unmarked(unit.connection, intent_id, address):
        return
    _mark(unit, address, record_id)


def unverified(unit: Unit, fact: Fact) -> None:
    """The verified bit of an address was taken away."""
    address = fact.payload["account"]
    row = _find(unit.connection, address)
    audit.append(unit, "wallet.unverified", f"wallet:{address}", evidence=[fact.payload["transaction"]])
    if row is not None and row["state"] == WalletState.VERIFIED:
        move(unit, wallet, address, WalletState.VERIFIED, WalletState.REGISTERED)


def get(connection: Connection, address: str) -> dict[str, Any]:
    """One wallet. Raises NotFound."""
    row = _find(connection, address)
    if row is None:
        raise NotFound(f"there is no wallet {address}", "See `issuer wallet list`.")
    return row


def every(connection: Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(select(wallet).order_by(wallet.c.at)).mappings()]


def refused(connection: Connection) -> list[dict[str, Any]]:
    """The registered wallets that the contract would not mark as verified: each with the `reason`, and `since` when."""
    waiting = [row for row in every(connection) if row["state"] == WalletState.REGISTERED]
    found = [(row["address"], _last_mark(connection, row["address"])) for row in waiting]
    return [
        {"address": address, "since": last.at, "reason": powers.reason(connection, last.id)}
        for address, last in found
        if last is not None and last.state == IntentState.VOID and not last.carried
    ]


def require_registered(connection: Connection, address: str) -> None:
    """Raise NotFound or Refused unless a customer has proven control of the wallet."""
    if get(connection, address)["state"] == WalletState.CHALLENGED:
        raise Refused(f"nobody has proven control of {address} yet", "Register it with `issuer wallet register`.")


def standing(connection: Connection, customer_id: int) -> str | None:
    """The registered wallet that a customer's deposits are minted to without asking again."""
    statement = select(wallet.c.address).where(
        wallet.c.customer_id == customer_id, wallet.c.standing, wallet.c.state != WalletState.CHALLENGED
    )
    return connection.execute(statement).scalar()


def owner(connection: Connection, address: str) -> int | None:
    """The customer who has proven control of an address."""
    row = _find(connection, address)
    return None if row is None or row["state"] == WalletState.CHALLENGED else row["customer_id"]


def _mark(unit: Unit, address: str, record_id: int) -> None:
    """Have the chain know a wallet as verified, once the record that says why is published."""
    intents.emit(unit, Door.CHAIN, "verify", f"wallet:{address}", {"accounts": [address]}, record_id)


def _last_mark(connection: Connection, address: str) -> Row[Any] | None:
    """The last intent that asked for a wallet's mark, and whether a transaction carried it."""
    carried = transaction.c.intent_id.is_not(None).label("carried")
    asked = select(intent, carried).outerjoin(transaction, transaction.c.intent_id == intent.c.id)
    asked = asked.where(intent.c.kind == "verify", intent.c.subject == f"wallet:{address}")
    return connection.execute(asked.order_by(intent.c.id.desc()).limit(1)).one_or_none()


def _was_unmarked(connection: Connection, intent_id: int, address: str) -> bool:
    """Whether a person has had the mark taken away since an intent."""
    ordered = select(intent.c.payload).where(intent.c.kind == "unverify", intent.c.id > intent_id)
    return any(address in payload["accounts"] for payload in connection.scalars(ordered))


def _find(connection: Connection, address: str) -> dict[str, Any] | None:
    row = connection.execute(_FIND, {"wallet": address}).mappings().one_or_none()
    return None if row is None else dict(row)


def _standing(connection: Connection, customer_id: int, address: str) -> bool:
    statement = select(wallet.c.address).where(
        wallet.c.customer_id == customer_id, wallet.c.standing, wallet.c.address != address
    )
    return connection.execute(statement).first() is not None


def _text(address: str, customer_id: int, nonce: str, expires: int) -> str:
    return (
        "Offshore Yuan Sandbox asks who controls this wallet.\n"
        f"Wallet: {address}\n"
        f"Customer: {customer_id}\n"
        f"Nonce: {nonce}\n"
        f"Expires: {utc(expires)}"
    )
