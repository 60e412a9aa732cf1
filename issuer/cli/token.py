"""`issuer token`: the token's own parameters, its successor, and what was sent to it by mistake."""

from collections.abc import Callable
from typing import Any

import click

from issuer.cli import answer
from issuer.cli.parameters import ACCOUNT, TEXT, WHOLE, answers, orders
from issuer.cli.power import propose
from issuer.cli.session import Session
from issuer.errors import InvalidInput, Refused
from issuer.messages.abi import ZERO_ADDRESS, checksum, keccak, parse_address
from issuer.messages.contracts import FROZEN, TOKEN, VERIFIED

_POLICIES = {"verified": (VERIFIED, FROZEN), "open": (0, FROZEN)}
_LONGEST_AGE = 7 * 86_400  # seconds: the token's own limit


@click.group()
def token() -> None:
    """See the token's parameters and change them. Every change is a slow act: `issuer act list`.

    \b
      minter          ADDRESS    the contract in front of mint; its limits: issuer limit
      feed            ADDRESS    where the reserve reports are: issuer attestor
      hook            ADDRESS    a contract that is asked at each transfer, or `none`
      policy          verified   only verified wallets hold tokens; `open`: all that are not frozen
      report-age      SECONDS    how old a report may be for a mint, at most seven days
      contract-uri    TEXT       licence, white paper and terms, as ERC-7572 has them
    """


@token.command()
@answers
def show(session: Session) -> None:
    """Show the parameters as the chain has them now."""
    view = session.issuer.view
    rules = view("token", "rules")
    found = {
        "token": session.issuer.speaking.token,
        "minter": view("token", "minter")["0"],
        "feed": view("token", "feed")["0"],
        "hook": rules["hook"] if rules["hook"] != ZERO_ADDRESS else "none",
        "policy": _policy(rules["required"], rules["forbidden"]),
        "stops": rules["stops"],
        "report_age": view("token", "reportAge")["0"],
        "successor": _one(view("token", "successor")["0"]),
        "contract_uri": view("token", "contractURI")["0"],
        "delay": session.issuer.speaking.delay,
    }
    answer.record(found, as_json=session.as_json)


@token.command(name="set")
@click.argument("name", type=click.Choice(("minter", "feed", "hook", "policy", "report-age", "contract-uri")))
@click.argument("value", type=TEXT, metavar="VALUE")
@orders
def set_(session: Session, name: str, value: str, case: str) -> None:
    """Propose to change a parameter; the act names the one of now, and does nothing if that has changed.

    \b
      issuer token set policy open --case board-2026-11
      issuer token set minter 0x5290...9EE7 --case board-2026-12
    """
    call = _CALLS[name](session, value)
    propose(session, "token.set", {"name": name, "value": value, "case": case}, "token", call)


@token.command()
@click.argument("successor", type=ACCOUNT, metavar="SUCCESSOR")
@orders
def retire(session: Session, successor: str, case: str) -> None:
    """Propose to retire the token in favour of another contract, for ever.

    Nothing is minted again; transfers and redemptions go on until holders have left.
    """
    following = session.issuer.address(successor)

    def call() -> str:
        known = session.issuer.view("token", "successor")["0"]
        if known != ZERO_ADDRESS:
            raise Refused(f"the token is retired already, in favour of {known}", "Nothing is left to do.")
        return TOKEN.call("retire", following)

    propose(session, "token.retire", {"successor": following, "case": case}, "token", call)


@token.command()
@click.argument("foreign", type=ACCOUNT, metavar="FOREIGN")
@click.argument("to", type=ACCOUNT)
@click.argument("units", type=WHOLE, metavar="UNITS")
@orders
def rescue(session: Session, foreign: str, to: str, units: int, case: str) -> None:
    """Propose to send on another token's UNITS that somebody sent to this contract by mistake.

    FOREIGN is that token's contract. UNITS are its smallest: 1.5 of a token with 18 decimals is 1500000000000000000.
    """
    address, recipient = session.issuer.address(foreign), session.issuer.address(to)
    body = {"foreign": address, "to": recipient, "units": str(units), "case": case}
    propose(session, "token.rescue", body, "token", lambda: TOKEN.call("rescue", address, recipient, units))


def _part(name: str) -> Callable[[Session, str], Callable[[], str]]:
    """A part that is another contract: `minter` or `feed`."""

    def read(session: Session, value: str) -> Callable[[], str]:
        address = parse_address(value)
        function = f"set{name.capitalize()}"
        return lambda: TOKEN.call(function, session.issuer.view("token", name)["0"], address)

    return read


def _hook(session: Session, value: str) -> Callable[[], str]:
    address = ZERO_ADDRESS if value == "none" else parse_address(value)
    return lambda: TOKEN.call("setHook", session.issuer.view("token", "rules")["hook"], address)


def _policies(session: Session, value: str) -> Callable[[], str]:
    if value not in _POLICIES:
        raise InvalidInput(f"{value!r} is no policy", "Give `verified` or `open`.")

    def call() -> str:
        now = session.issuer.view("token", "rules")
        return TOKEN.call("setPolicy", now["required"], now["forbidden"], *_POLICIES[value])

    return call


def _report_age(session: Session, value: str) -> Callable[[], str]:
    if not value.isascii() or not value.isdigit() or not 0 < int(value) <= _LONGEST_AGE:
        raise InvalidInput(f"{value!r} is no report age", f"Give seconds, 1 to {_LONGEST_AGE}.")
    return lambda: TOKEN.call("setReportAge", session.issuer.view("token", "reportAge")["0"], int(value))


def _contract_uri(session: Session, value: str) -> Callable[[], str]:
    def call() -> str:
        now: str = session.issuer.view("token", "contractURI")["0"]
        return TOKEN.call("setContractURI", keccak(now.encode()), value)

    return call


_CALLS: dict[str, Callable[[Session, str], Callable[[], str]]] = {
    "minter": _part("minter"),
    "feed": _part("feed"),
    "hook": _hook,
    "policy": _policies,
    "report-age": _report_age,
    "contract-uri": _contract_uri,
}


def _policy(required: int, forbidden: int) -> str:
    names = {bits: name for name, bits in _POLICIES.items()}
    return names.get((required, forbidden), f"bits {required} needed, {forbidden} refused")


def _one(address: str) -> Any:
    return None if address == ZERO_ADDRESS else checksum(address)
