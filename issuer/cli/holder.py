"""`issuer transfer` and `issuer redeem`: what a holder does, with a wallet whose key lies in this home."""

from collections.abc import Callable
from typing import Any

import click

from issuer.chain import faucet, holder, network
from issuer.chain.signer import LocalSigner, Signed
from issuer.cli.home import Issuer
from issuer.cli.parameters import ACCOUNT, AMOUNT, MEMO, SIGNED, WALLET, asks
from issuer.cli.session import Session
from issuer.store.unit import Unit


@click.command(context_settings=SIGNED)
@click.argument("wallet", type=WALLET)
@click.argument("to", type=ACCOUNT)
@click.argument("amount", type=AMOUNT)
@click.option("--memo", type=MEMO, help="A reference of at most 32 bytes that goes on chain, or a 32-byte hash.")
@asks
def transfer(session: Session, wallet: str, to: str, amount: int, memo: str | None) -> None:
    """Send AMOUNT from the local WALLET to an address, or to another local wallet.

    For trying things out: it asks the contract as any holder would, and the issuer has no say in it. Without --key,
    doing it again pays again.

    \b
      issuer transfer alice bob 250000.00 --memo "invoice 7" --key invoice-7
    """
    issuer = session.issuer
    recipient = issuer.address(to)
    body = {"from": issuer.address(wallet), "to": recipient, "value": amount, "memo": memo}

    def sign(signer: LocalSigner) -> Signed:
        return holder.transfer(issuer.node, signer, issuer.deployment, to=recipient, value=amount, memo=memo)

    _send(session, "transfer", wallet, body, sign)


@click.command(context_settings=SIGNED)
@click.argument("wallet", type=WALLET)
@click.argument("amount", type=AMOUNT)
@asks
def redeem(session: Session, wallet: str, amount: int) -> None:
    """Burn AMOUNT from the local WALLET; the same money is then paid to its customer's bank account.

    Whole fen, or the wallet's whole balance. Without --key, doing it again redeems again. Follow it with
    `issuer redemption list`.
    """
    issuer = session.issuer
    body = {"from": issuer.address(wallet), "value": amount}

    def sign(signer: LocalSigner) -> Signed:
        return holder.redeem(issuer.node, signer, issuer.deployment, value=amount)

    _send(session, "redeem", wallet, body, sign)


def _send(
    session: Session, operation: str, wallet: str, body: dict[str, Any], sign: Callable[[LocalSigner], Signed]
) -> None:
    """Keep the signed bytes with the request, then send them: a repetition sends the same ones."""

    def prepare() -> Callable[[Unit], dict[str, Any]]:
        signed = sign(_ready(session.issuer, wallet))
        told = {**body, "transaction": signed.hash, "signed": signed.raw, "done_when": "its block is final"}
        return lambda _: told

    session.ask_sent(operation, body, prepare, lambda raw: holder.send(session.issuer.node, raw))


def _ready(issuer: Issuer, wallet: str) -> LocalSigner:
    """A wallet that can pay for gas: on a local chain the faucet sees to it."""
    signer = issuer.keystore.signer(wallet)
    if network.identify(issuer.node).is_local:
        faucet.top_up(issuer.node, signer.address)
        faucet.wait_for(issuer.node, signer.address)
    return signer
