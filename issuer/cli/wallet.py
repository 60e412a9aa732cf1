"""`issuer wallet`: addresses whose control a customer has proven."""

from contextlib import suppress
from typing import Any

import click

from issuer.chain import faucet, network
from issuer.cli import answer
from issuer.cli.home import Issuer
from issuer.cli.parameters import ACCOUNT, NUMBER, SIGNATURE, WALLET, answers, asks, orders
from issuer.cli.power import use
from issuer.cli.session import Session
from issuer.errors import InvalidInput, Misconfigured, Unreachable
from issuer.messages.signatures import personal_digest
from issuer.operations import wallets
from issuer.store.unit import Unit


@click.group()
def wallet() -> None:
    """Register customers' wallets. Tokens are minted to them, and only they receive any.

    \b
    The customer proves control by signing a text:
      issuer wallet challenge 0x5290...9EE7 --customer 1
      issuer wallet register 0x5290...9EE7 --signature 0x...
    Then the registrar's key marks the wallet as verified on chain.
    """


@wallet.command()
@click.argument("name", type=WALLET)
@answers
def new(session: Session, name: str) -> None:
    """Make a holder's wallet in this home, to try things out as a customer would.

    Its key is encrypted with the home's passphrase. Commands that take an address also take the NAME.
    """
    address = session.issuer.create_holder(name)
    answer.record({"name": name, "address": address}, as_json=session.as_json)


@wallet.command()
@click.argument("account", type=ACCOUNT, metavar="WALLET")
@click.option("--customer", "customer_id", type=NUMBER, required=True, help="Whose wallet it is.")
@click.option("--standing", is_flag=True, help="Mint what the customer pays in to this wallet, without asking again.")
@asks
def challenge(session: Session, account: str, customer_id: int, standing: bool) -> None:
    """Give the text that the customer signs with the wallet (EIP-191, as every wallet does)."""
    policy, address = session.issuer.policy, session.issuer.address(account)
    body = {"customer_id": customer_id, "address": address, "standing": standing}

    def act(unit: Unit) -> dict[str, Any]:
        return wallets.challenge(unit, policy, customer_id=customer_id, address=address, standing=standing)

    session.ask("wallet.challenge", body, act)


@wallet.command()
@click.argument("account", type=ACCOUNT, metavar="WALLET")
@click.option("--signature", type=SIGNATURE, help="The wallet's signature over the challenge.")
@click.option("--sign-with", type=WALLET, metavar="NAME", help="Sign with this local wallet instead.")
@asks
def register(session: Session, account: str, signature: str | None, sign_with: str | None) -> None:
    """Register a wallet by its signature over the challenge; the chain is told, and then it is verified."""
    if (signature is None) == (sign_with is None):
        raise InvalidInput("exactly one signature is needed", "Give --signature, or --sign-with and a local wallet.")
    issuer = session.issuer
    address = issuer.address(account)
    with issuer.store.read() as connection:
        text = wallets.get(connection, address)["challenge"]
    if sign_with is not None:
        signature = issuer.keystore.signer(sign_with).sign_digest(personal_digest(text))
        _give_gas_money(issuer, address)
    assert signature is not None  # noqa: S101 - one of the two was given
    controlled = issuer.controls(address, text, signature)

    def act(unit: Unit) -> dict[str, Any]:
        return wallets.register(unit, address=address, text=text, controlled=controlled)

    session.ask("wallet.register", {"address": address, "signature": signature}, act)


@wallet.command()
@click.argument("account", type=ACCOUNT, metavar="WALLET")
@orders
def unverify(session: Session, account: str, case: str) -> None:
    """Take a wallet's verified mark away on chain, at once: it neither receives nor redeems until it is verified."""
    _mark(session, "unverify", account, case)


@wallet.command()
@click.argument("account", type=ACCOUNT, metavar="WALLET")
@orders
def verify(session: Session, account: str, case: str) -> None:
    """Mark a registered wallet as verified again; one that is newly registered is verified by itself."""
    _mark(session, "verify", account, case)


@wallet.command(name="list")
@answers
def list_(session: Session) -> None:
    """List the wallets: customers' registered ones, and those whose keys lie in this home."""
    with session.issuer.store.read() as connection:
        known = {row["address"]: row for row in wallets.every(connection)}
    names = {address: name for name, address in session.issuer.addresses.holders().items()}
    nobody = {"customer_id": None, "state": None, "standing": None}
    found = [
        {"name": names.get(address), "address": address, **known.get(address, nobody)} for address in known | names
    ]
    columns = ("name", "address", "customer_id", "state", "standing")
    answer.rows(found, columns, empty="There are no wallets yet.", as_json=session.as_json)


def _give_gas_money(issuer: Issuer, address: str) -> None:
    """A local wallet is going to pay and redeem from here: where there is a local chain, its faucet helps already."""
    with suppress(Misconfigured, Unreachable):
        if network.identify(issuer.node).is_local:
            faucet.top_up(issuer.node, address)


def _mark(session: Session, function: str, account: str, case: str) -> None:
    address = session.issuer.address(account)

    def require() -> None:
        with session.issuer.store.read() as connection:
            wallets.require_registered(connection, address)

    use(session, function, {"accounts": [address]}, case, require=require)
