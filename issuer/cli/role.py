"""`issuer role`: who may do what, as the authority's table has it on chain."""

from collections.abc import Callable
from typing import Any

import click

from issuer.chain.compiler import CHECKOUT
from issuer.chain.wiring import Table
from issuer.cli import answer
from issuer.cli.parameters import ACCOUNT, TEXT, WHOLE, answers, orders
from issuer.cli.power import propose, use
from issuer.cli.session import Session
from issuer.errors import InvalidInput, Refused
from issuer.messages.abi import Item, parse_address
from issuer.messages.contracts import AUTHORITY
from issuer.operations import powers

_ADMIN = 0
_LONGEST_DELAY = 2**32 - 1


@click.group()
def role() -> None:
    """See who holds which role, give and take roles, and change what a role may do.

    Taking a role from a hot key is instant, by the guardian; giving one waits where the role lets something through. A
    minting key's right is its limit (`issuer limit`), an attestor's its place in the set (`issuer attestor`).

    \b
      issuer role list
      issuer role revoke FREEZER 0x5290...9EE7 --case stolen-key-3
    """


@role.command(name="list")
@answers
def list_(session: Session) -> None:
    """List the roles and their holders as the chain has them now; `from` is when a grant takes effect."""
    with session.issuer.store.read() as connection:
        accounts = powers.granted(connection)
    names = {number: name for name, number in _roles().items()}
    found = [_holder(session, names, number, account) for number, account in accounts]
    columns = ("role", "id", "account", "key", "since")
    shown = [row for row in found if row["since"]]
    answer.rows(shown, columns, empty="No role is held, or the chain was not read yet.", as_json=session.as_json)


@role.command()
@click.argument("name", metavar="ROLE", type=TEXT)
@click.argument("account", type=ACCOUNT)
@orders
def grant(session: Session, name: str, account: str, case: str) -> None:
    """Give a role. It takes effect after the role's grant delay; conflicting roles are refused, for ever."""
    arguments = {"roleId": _role(name), "account": session.issuer.address(account), "executionDelay": 0}
    use(session, "grantRole", arguments, case)


@role.command()
@click.argument("name", metavar="ROLE", type=TEXT)
@click.argument("account", type=ACCOUNT)
@click.option("--by", type=click.Choice(("guardian", "admin")), default="guardian", help="Whose key does it.")
@orders
def revoke(session: Session, name: str, account: str, by: str, case: str) -> None:
    """Take a role away, at once.

    The guardian may take every role but ADMIN; `--by admin` takes ADMIN itself, or the role of a stolen guardian's key.
    """
    number, address = _role(name), session.issuer.address(account)
    if number == _ADMIN and by == "guardian":
        raise InvalidInput("the guardian cannot take the role ADMIN", "Use --by admin.")
    function = "revoke" if by == "guardian" else "revokeRole"
    require = _held(session, name, number, address)
    use(session, function, {"roleId": number, "account": address}, case, require=require)


@role.command(name="set")
@click.argument("name", metavar="ROLE", type=TEXT)
@click.argument("part", type=click.Choice(("label", "admin", "guardian", "grant-delay")))
@click.argument("value", type=TEXT)
@orders
def set_(session: Session, name: str, part: str, value: str, case: str) -> None:
    """Change a role itself: its label, the role that gives it, the one that cancels, or its grant delay in seconds."""
    function, argument, read = _PARTS[part]
    use(session, function, {"roleId": _role(name), argument: read(value)}, case)


@role.command()
@click.argument("name", metavar="ROLE", type=TEXT)
@click.argument("contract", type=TEXT, metavar="CONTRACT")
@click.argument("functions", type=TEXT, nargs=-1, required=True, metavar="FUNCTION...")
@orders
def allow(session: Session, name: str, contract: str, functions: tuple[str, ...], case: str) -> None:
    """Let a role call a contract's functions, and no other role any more.

    CONTRACT is token, minter, feed, authority or an address; FUNCTION is written as `cancel(bytes32)`. It waits as long
    as the contract's lines in the table wait (`issuer role delay`); those of a contract that is not wired yet do not.

    \b
      issuer role allow GUARDIAN 0x5290...9EE7 "cancel(bytes32)" --case new-minter
    """
    target = _target(session, contract)
    arguments = {"target": target, "selectors": [_selector(text) for text in functions], "roleId": _role(name)}
    if session.issuer.view("authority", "getTargetAdminDelay", target)["0"] == 0:
        use(session, "setTargetFunctionRole", arguments, case)
        return
    body = {"target": target, "functions": sorted(functions), "role": arguments["roleId"], "case": case}
    act = AUTHORITY.call("setTargetFunctionRole", *arguments.values())
    propose(session, "role.allow", body, "authority", lambda: act)


@role.command()
@click.argument("contract", type=TEXT, metavar="CONTRACT")
@click.argument("seconds", type=WHOLE, metavar="SECONDS")
@orders
def delay(session: Session, contract: str, seconds: int, case: str) -> None:
    """Set how long a change of a contract's lines in the table waits; a shorter one counts after the difference."""
    arguments = {"target": _target(session, contract), "newDelay": _seconds(str(seconds))}
    use(session, "setTargetAdminDelay", arguments, case)


def _roles() -> dict[str, int]:
    return Table(CHECKOUT / "contracts" / "roles.toml").roles


def _role(name: str) -> int:
    known = _roles()
    if name not in known:
        raise InvalidInput(f"{name!r} is no role", f"Give one of {', '.join(known)}.")
    return known[name]


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _LONGEST_DELAY:
        raise InvalidInput(f"{text!r} is no delay", f"Give seconds, 0 to {_LONGEST_DELAY}.")
    return int(text)


_PARTS: dict[str, tuple[str, str, Callable[[str], Any]]] = {
    "label": ("labelRole", "label", str),
    "admin": ("setRoleAdmin", "admin", _role),
    "guardian": ("setRoleGuardian", "guardian", _role),
    "grant-delay": ("setGrantDelay", "newDelay", _seconds),
}
"""The function, its second argument, and how that is read."""


def _target(session: Session, contract: str) -> str:
    return parse_address(contract) if contract.startswith("0x") else session.issuer.part(contract)


def _selector(text: str) -> str:
    """A function's selector. Raises InvalidInput for anything that is no canonical signature."""
    try:
        item = Item.parse(text)
    except (ValueError, IndexError):
        item = None
    if item is None or item.signature != text:
        raise InvalidInput(
            f"{text!r} is no function's signature", "Write it as in contracts/roles.toml: cancel(bytes32)."
        )
    return item.selector


def _holder(session: Session, names: dict[int, str], number: int, account: str) -> dict[str, Any]:
    found = session.issuer.view("authority", "getAccess", number, account)
    keys = {address: job for job, address in session.issuer.addresses.addresses().items()}
    return {
        "role": names.get(number, str(number)),
        "id": number,
        "account": account,
        "key": keys.get(account) or session.issuer.speaking.name(account),
        "since": found["since"],
    }


def _held(session: Session, name: str, number: int, account: str) -> Callable[[], None]:
    def require() -> None:
        if not session.issuer.view("authority", "getAccess", number, account)["since"]:
            raise Refused(f"{account} does not hold the role {name}", "See `issuer role list`.")

    return require
