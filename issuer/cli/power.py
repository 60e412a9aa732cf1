"""`issuer freeze`, `unfreeze`, `stop`, `resume`: powers over the token."""

from collections.abc import Callable
from typing import Any

import click

from issuer.cli.answer import STOPS
from issuer.cli.parameters import ACCOUNT, CASE, asks
from issuer.cli.session import Session
from issuer.errors import Refused
from issuer.messages.contracts import FROZEN, TOKEN
from issuer.operations import powers
from issuer.store.unit import Unit

_WHAT = click.Choice(tuple(STOPS))
_case = click.option("--case", type=CASE, required=True, help="The case that this is done under; the log names it.")


@click.command()
@click.argument("accounts", type=ACCOUNT, nargs=-1, required=True, metavar="ACCOUNT...")
@_case
@asks
def freeze(session: Session, accounts: tuple[str, ...], case: str) -> None:
    """Freeze accounts: they neither send, receive nor redeem. The coins stay backed.

    The freezer's key does it in one step.
    """
    body: dict[str, Any] = {"accounts": [session.issuer.address(account) for account in accounts], "case": case}
    session.ask("power.freeze", body, lambda unit: powers.freeze(unit, **body))


@click.command()
@click.argument("account", type=ACCOUNT)
@_case
@asks
def unfreeze(session: Session, account: str, case: str) -> None:
    """Propose to unfreeze an account.

    The act names the account's freeze count of now, so that it does nothing if the account is frozen again meanwhile.
    The running service accepts it when the contract's delay is over: `issuer act list`.
    """
    address = session.issuer.address(account)

    def call() -> str:
        found = session.issuer.view("token", "accountOf", address)
        if not found["status"] & FROZEN:
            raise Refused(f"{address} is not frozen", "Only a frozen account can be unfrozen.")
        return TOKEN.call("unfreeze", address, found["freezeCount"])

    propose(session, "power.unfreeze", {"account": address, "case": case}, "token", call)


@click.command()
@click.argument("acts", type=_WHAT, nargs=-1, required=True, metavar="transfer|mint|redeem...")
@_case
@asks
def stop(session: Session, acts: tuple[str, ...], case: str) -> None:
    """Stop transfers, mints or redemptions, for everybody, at once.

    The guardian's key does it in one step; `issuer resume` takes the contract's delay.
    """
    stops, body = _bits(acts), {"acts": sorted(set(acts)), "case": case}
    session.ask("power.stop", body, lambda unit: powers.stop(unit, stops=stops, case=case))


@click.command()
@click.argument("acts", type=_WHAT, nargs=-1, required=True, metavar="transfer|mint|redeem...")
@_case
@asks
def resume(session: Session, acts: tuple[str, ...], case: str) -> None:
    """Propose to resume what is stopped.

    The act names the token's stop count of now, so that it does nothing if something is stopped again meanwhile.
    The running service accepts it when the contract's delay is over: `issuer act list`.
    """
    stops = _bits(acts)

    def call() -> str:
        found = session.issuer.view("token", "rules")
        if stops & ~found["stops"]:
            stopped = [name for name, bit in STOPS.items() if found["stops"] & bit]
            raise Refused(f"stopped is: {', '.join(stopped) or 'nothing'}", "Name only what is stopped.")
        return TOKEN.call("resume", stops, found["stopCount"])

    propose(session, "power.resume", {"acts": sorted(set(acts)), "case": case}, "token", call)


def propose(session: Session, operation: str, body: dict[str, Any], contract: str, call: Callable[[], str]) -> None:
    """Ask for a slow act whose calldata names what the chain says now.

    That is no part of the request, which means the same when it is repeated later.
    """

    def prepare() -> Callable[[Unit], dict[str, Any]]:
        act = call()
        return lambda unit: powers.propose(unit, contract=contract, act=act, case=body["case"])

    session.ask_prepared(operation, body, prepare)


def _bits(acts: tuple[str, ...]) -> int:
    return sum(STOPS[name] for name in set(acts))
