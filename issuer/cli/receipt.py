"""`issuer receipt`: what a customer takes home."""

import click

from issuer.chain import anchoring
from issuer.cli import answer
from issuer.cli.parameters import TEXT, answers
from issuer.cli.session import Session
from issuer.reports import receipt as receipts


@click.command()
@click.argument("name", type=TEXT, metavar="ID")
@answers
def receipt(session: Session, name: str) -> None:
    """Print the receipt of a final mint order or redemption, order:N or redemption:N, as JSON.

    It holds the records, the proof that the log has them, and the proof that a block of the chain anchors that log.
    Whoever knows the hash of that block and the token's feed checks it with `issuer verify --receipt`, without asking
    the issuer or a node.

    \b
      issuer receipt order:1 > receipt.json
    """
    issuer = session.issuer
    with issuer.store.read() as connection:
        found = receipts.evidence(connection, name)
    made = issuer.speaking
    feed, anchor = anchoring.prove(issuer.node, made, found.transaction)
    bound = {"token": made.token, "feed": feed, "chain_id": made.chain_id}
    answer.echo_json(receipts.compose(found, issuer.log.log, bound, anchor))
