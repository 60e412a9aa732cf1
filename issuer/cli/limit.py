"""`issuer limit`: the limits of the minting keys."""

from collections.abc import Callable
from typing import Any

import click

from issuer.chain.keystore import MINTING
from issuer.cli import answer
from issuer.cli.home import Issuer
from issuer.cli.parameters import ACCOUNT, LIMIT, answers, orders
from issuer.cli.power import propose, use
from issuer.cli.session import Session
from issuer.errors import InvalidInput, Refused
from issuer.messages.contracts import MINTER, WINDOW
from issuer.money import format_units

Command = Callable[..., Any]


@click.group()
def limit() -> None:
    """See, lower and raise what may be minted.

    A key's bucket holds at most its capacity and refills by so much a second; the window does the same above all keys.
    KEY is `window`, `sender` or `standby` (the service's own minting keys), or an address. Lowering is instant, raising
    waits. An order above a capacity waits until that is raised; others are minted meanwhile.
    """


def _limits(command: Command) -> Command:
    """The arguments that lower and raise share."""
    key = click.argument("key", type=ACCOUNT, metavar="KEY")
    capacity = click.option("--capacity", type=LIMIT, required=True, help="CNH it holds when full; 0 closes it.")
    refill = click.option("--refill", type=LIMIT, required=True, help="CNH that come back every second.")
    return key(capacity(refill(orders(command))))


@limit.command()
@answers
def show(session: Session) -> None:
    """Show the limits as the chain has them now."""
    issuer = session.issuer
    named = {name: _address(issuer, name) for name in ("window", *MINTING)}
    found = [{"key": name, "address": key, **issuer.view("minter", "bucketOf", key)} for name, key in named.items()]
    answer.rows(found, ("key", "capacity", "refill", "available"), empty="", as_json=session.as_json)


@limit.command()
@_limits
def lower(session: Session, key: str, capacity: int, refill: int, case: str) -> None:
    """Lower a limit at once; a raise that waits goes out of date by it. Zero closes it: the key mints nothing more.

    \b
      issuer limit lower sender --capacity 500000.00 --refill 5.00 --case 2026/17
      issuer limit lower 0x5290...9EE7 --capacity 0 --refill 0 --case stolen-key-3
    """
    address = _address(session.issuer, key)

    def require() -> None:
        old = session.issuer.view("minter", "bucketOf", address)
        if old["capacity"] == 0:
            raise Refused(f"the limit of {key} is zero already", "To open it: issuer limit raise.")
        if capacity > old["capacity"] or refill > old["refill"]:
            raise Refused(f"the limit of {key} is lower already", "To raise it: issuer limit raise.")

    use(session, "lower", {"key": address, "capacity": capacity, "refill": refill}, case, require=require)


@limit.command(name="raise")
@_limits
def raise_(session: Session, key: str, capacity: int, refill: int, case: str) -> None:
    """Propose to raise a limit; a new key's bucket begins empty.

    The running service accepts it when the contract's delay is over: `issuer act list`.
    """
    address = _address(session.issuer, key)

    def call() -> str:
        old = session.issuer.view("minter", "bucketOf", address)
        if capacity < old["capacity"] or refill < old["refill"]:
            raise Refused(f"the limit of {key} is higher already", "To lower it: issuer limit lower.")
        return MINTER.call("raise", address, old["version"], capacity, refill)

    propose(session, "limit.raise", _body(address, capacity, refill, case), "minter", call)


def _address(issuer: Issuer, key: str) -> str:
    if key in MINTING:
        return issuer.deployment.keys[key]  # also if it lies in another home
    if key == "window":
        return WINDOW
    if not key.startswith("0x"):
        raise InvalidInput(f"{key!r} is no minting key", "Give window, sender, standby or an address.")
    return issuer.address(key)


def _body(key: str, capacity: int, refill: int, case: str) -> dict[str, Any]:
    return {"key": key, "capacity": format_units(capacity), "refill": format_units(refill), "case": case}
