"""`issuer transaction`: what was signed and is not final yet."""

from typing import Any

import click

from issuer import audit
from issuer.chain import transactions
from issuer.chain.transactions import Sent
from issuer.cli import answer
from issuer.cli.parameters import NUMBER, answers, asks
from issuer.cli.session import Session
from issuer.errors import NotFound
from issuer.store.unit import Unit


@click.group()
def transaction() -> None:
    """See the transactions that wait for finality, and give up one that no block takes.

    The service raises the fee of what waits too long, up to a cap. Past it, a person may give the transaction up: its
    nonce is then used by a bare transfer, and what it was for is decided anew once that is final. The fee of that
    transfer may pass the cap by an eighth: a node takes no replacement for less.
    """


@transaction.command(name="list")
@answers
def list_(session: Session) -> None:
    """List the transactions that wait, with the block that holds each, if one does."""
    with session.issuer.store.read() as connection:
        found = [_row(item) for item in transactions.live(connection)]
    columns = ("id", "kind", "signer", "nonce", "offers", "mined_block", "hash")
    answer.rows(found, columns, empty="No transaction waits.", as_json=session.as_json)


@transaction.command()
@click.argument("transaction_id", type=NUMBER, metavar="TRANSACTION")
@asks
def cancel(session: Session, transaction_id: int) -> None:
    """Give up a transaction that no block takes; it may still be mined before its replacement is.

    If the node does not answer, repeat it with the same key: the replacement is signed once, and sent again.
    """
    issuer = session.issuer

    def act(unit: Unit) -> dict[str, Any]:
        waiting = [item for item in transactions.live(unit.connection) if item.id == transaction_id]
        if not waiting:
            raise NotFound(f"no transaction {transaction_id} waits", "See `issuer transaction list`.")
        audit.append(unit, "transaction.given-up", waiting[0].subject, before={"hash": waiting[0].newest.hash})
        return _row(waiting[0])

    body = {"transaction_id": transaction_id}
    session.ask_then("transaction.cancel", body, act, lambda: issuer.sender.cancel(transaction_id))


def _row(item: Sent) -> dict[str, Any]:
    return {
        "id": item.id,
        "kind": item.kind,
        "subject": item.subject,
        "signer": item.signer,
        "nonce": item.nonce,
        "offers": len(item.attempts),
        "mined_block": item.mined_block,
        "hash": item.newest.hash,
    }
