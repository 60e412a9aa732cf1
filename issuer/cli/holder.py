"""`issuer transfer` and `issuer redeem`: what a holder does, with a wallet whose key lies in this home."""

from typing import Any

import click

from issuer.chain import faucet, holder, network
from issuer.chain.node import Node
from issuer.chain.signer import LocalSigner
from issuer.cli import answer
from issuer.cli.home import Issuer
from issuer.cli.parameters import ACCOUNT, AMOUNT, MEMO, SIGNED, WALLET, answers
from issuer.cli.session import Session


@click.command(context_settings=SIGNED)
@click.argument("wallet", type=WALLET)
@click.argument("to", type=ACCOUNT)
@click.argument("amount", type=AMOUNT)
@click.option("--memo", type=MEMO, help="A reference of at most 32 bytes that goes on chain, or a 32-byte hash.")
@answers
def transfer(session: Session, wallet: str, to: str, amount: int, memo: str | None) -> None:
    """Send AMOUNT from the local WALLET to an address, or to another local wallet.

    For trying things out: it asks the contract as any holder would, and is no request to the issuer. Doing it again
    pays again.

    \b
      issuer transfer alice bob 250000.00 --memo "invoice 7"
    """
    issuer = session.issuer
    recipient = issuer.address(to)
    node, signer = _ready(issuer, wallet)
    sent = holder.transfer(node, signer, issuer.deployment, to=recipient, value=amount, memo=memo)
    _show(session, {"from": signer.address, "to": recipient, "value": amount, "memo": memo, "transaction": sent})


@click.command(context_settings=SIGNED)
@click.argument("wallet", type=WALLET)
@click.argument("amount", type=AMOUNT)
@answers
def redeem(session: Session, wallet: str, amount: int) -> None:
    """Burn AMOUNT from the local WALLET; the same money is then paid to its customer's bank account.

    Whole fen, or the wallet's whole balance. Doing it again redeems again. Follow it with `issuer redemption list`.
    """
    issuer = session.issuer
    node, signer = _ready(issuer, wallet)
    sent = holder.redeem(node, signer, issuer.deployment, value=amount)
    _show(session, {"from": signer.address, "value": amount, "transaction": sent})


def _ready(issuer: Issuer, wallet: str) -> tuple[Node, LocalSigner]:
    """A wallet that can pay for gas: on a local chain the faucet sees to it."""
    signer = issuer.keystore.signer(wallet)
    if network.identify(issuer.node).is_local:
        faucet.top_up(issuer.node, signer.address)
        faucet.wait_for(issuer.node, signer.address)
    return issuer.node, signer


def _show(session: Session, sent: dict[str, Any]) -> None:
    answer.record(sent, as_json=session.as_json)
    if not session.as_json:
        click.echo("Sent; it counts once its block is final.")
