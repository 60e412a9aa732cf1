"""`issuer freeze`, `unfreeze`, `seize`, `stop`, `resume`: powers over the token; and how every power is ordered.

A quick power is one call by the key that holds it; a slow one is proposed by the admin and accepted after the
contract's delay. Both are only ordered here: the running service sends them once the order is sealed in the log.
"""

from collections.abc import Callable, Mapping
from typing import Any

import click

from issuer.cli import answer
from issuer.cli.answer import STOPS
from issuer.cli.parameters import ACCOUNT, ALL_OR_AMOUNT, SIGNED, orders
from issuer.cli.session import Session
from issuer.errors import Refused
from issuer.messages.abi import keccak
from issuer.messages.contracts import AUTHORITY, CONTRACTS, FROZEN, TOKEN
from issuer.money import format_units
from issuer.operations import powers
from issuer.store.unit import Unit

_WHAT = click.Choice(tuple(STOPS))


@click.command()
@click.argument("accounts", type=ACCOUNT, nargs=-1, required=True, metavar="ACCOUNT...")
@orders
def freeze(session: Session, accounts: tuple[str, ...], case: str) -> None:
    """Freeze accounts: they neither send, receive nor redeem. The coins stay backed.

    The freezer's key does it in one step.
    """
    use(session, "freeze", {"accounts": [session.issuer.address(account) for account in accounts]}, case)


@click.command()
@click.argument("account", type=ACCOUNT)
@orders
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


@click.command(context_settings=SIGNED)
@click.argument("account", type=ACCOUNT)
@click.argument("amount", type=ALL_OR_AMOUNT, metavar="AMOUNT|all")
@orders
def seize(session: Session, account: str, amount: int, case: str) -> None:
    """Propose to seize AMOUNT, or all, of a frozen account under a case.

    The tokens are burned and the money is owed until it is paid as the case orders: `issuer redemption direct`. The act
    names the account's balance of now. Whole fen, or the whole balance; also while the token is stopped.

    \b
      issuer freeze 0x5290...9EE7 --case HCMP-12/2026
      issuer seize 0x5290...9EE7 all --case HCMP-12/2026
    """
    address = session.issuer.address(account)
    body = {"account": address, "amount": format_units(amount) if amount else "all", "case": case}

    def call() -> str:
        found = session.issuer.view("token", "accountOf", address)
        if not found["status"] & FROZEN:
            raise Refused(f"{address} is not frozen", "Freeze it first, and wait until that is final.")
        value = amount or found["balance"]
        if not 0 < value <= found["balance"]:
            raise Refused(f"{address} holds {format_units(found['balance'])} CNH", "Seize at most that, or `all`.")
        return TOKEN.call("seize", address, found["balance"], value, powers.case_id(case))

    propose(session, "power.seize", body, "token", call)


@click.command()
@click.argument("acts", type=_WHAT, nargs=-1, required=True, metavar="transfer|mint|redeem...")
@orders
def stop(session: Session, acts: tuple[str, ...], case: str) -> None:
    """Stop transfers, mints or redemptions, for everybody, at once.

    The guardian's key does it in one step; `issuer resume` takes the contract's delay.
    """
    use(session, "stop", {"stops": _bits(acts)}, case)


@click.command()
@click.argument("acts", type=_WHAT, nargs=-1, required=True, metavar="transfer|mint|redeem...")
@orders
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


# -- how every power is ordered


def use(
    session: Session,
    function: str,
    arguments: dict[str, Any],
    case: str,
    *,
    require: Callable[[], None] | None = None,
) -> None:
    """Order a quick power, if what the chain says now allows it."""

    def prepare() -> Callable[[Unit], dict[str, Any]]:
        if require is not None:
            require()
        return lambda unit: powers.use(unit, function, arguments, case=case)

    if session.prepares:
        item = CONTRACTS[powers.QUICK[function]].functions[function]
        data = item.encode(*(arguments[argument.name] for argument in item.inputs))
        _show(session, powers.QUICK[function], data, {"function": function, "arguments": arguments})
    else:
        body = {name: _plain(name, value) for name, value in arguments.items()}
        session.ask_prepared(f"power.{function}", {**body, "case": case}, prepare)


def propose(session: Session, operation: str, body: Mapping[str, Any], contract: str, call: Callable[[], str]) -> None:
    """Order a slow act whose calldata names what the chain says now.

    That is no part of the request, which means the same when it is repeated later.
    """

    def prepare() -> Callable[[Unit], dict[str, Any]]:
        act = call()
        return lambda unit: powers.propose(unit, contract=contract, act=act, case=body["case"])

    if session.prepares:
        act = call()
        function, arguments = CONTRACTS[contract].decode_call(act)
        named = {"act_id": keccak(bytes.fromhex(act[2:])), "function": function, "arguments": arguments}
        _show(session, contract, proposal(session, contract, act), named)
    else:
        session.ask_prepared(operation, body, prepare)


def proposal(session: Session, contract: str, act: str) -> str:
    """Calldata that proposes an act."""
    if contract == "authority":
        return AUTHORITY.call("schedule", session.issuer.speaking.authority, act, 0)
    return TOKEN.call("propose", act)


def _show(session: Session, contract: str, data: str, named: dict[str, Any]) -> None:
    """What a multisig is to send."""
    shown = {"contract": contract, "to": session.issuer.speaking.address(contract), **named, "data": data}
    answer.record(shown, as_json=session.as_json)
    if not session.as_json:
        click.echo("Nothing was ordered: this is what another signer, such as a multisig, is to send.")


def _plain(name: str, value: Any) -> Any:
    """An argument as the body of a request: no integer that JSON may not carry."""
    return str(value) if isinstance(value, int) and name != "stops" else value


def _bits(acts: tuple[str, ...]) -> int:
    return sum(STOPS[name] for name in set(acts))
