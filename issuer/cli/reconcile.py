"""`issuer reconcile`: chain, books and bank statements, compared to the unit."""

import click

from issuer.cli import answer
from issuer.cli.parameters import answers
from issuer.cli.session import Session
from issuer.errors import BrokenInvariant
from issuer.ledger import chart, journal
from issuer.money import format_units
from issuer.reports import reconciliation
from issuer.reports.reconciliation import Books, Line


class Unreconciled(BrokenInvariant):
    code = "unreconciled"
    remedy = "Stop minting until it is explained: `issuer stop mint`; then look at `issuer ledger journal`."


@click.command()
@answers
def reconcile(session: Session) -> None:
    """Compare what must be equal; exit status 1 if anything differs, by however little.

    \b
    chain       every holder's balance and the supply, at the final block that the books stand at
    books       the holdings, tokens:outstanding, and the sum of all postings of every account
    statements  the bank's closing balance of collection and reserve, and the books as of each
    """
    issuer = session.issuer
    accounts = {issuer.policy.collection_account: chart.COLLECTION, issuer.policy.reserve_account: chart.RESERVE}
    with issuer.store.read() as connection:
        journal.verify(connection)
        books = reconciliation.read(connection, accounts)
    lines = reconciliation.compare(books, issuer.chain_at(books.block, books.holdings))
    broken = [line for line in lines if line.difference]
    if not (broken and session.as_json):
        _show(session, books, lines)
    if broken:
        found = "; ".join(
            f"{line.what}: {format_units(line.expected)} are expected and {format_units(line.found)} found, off by"
            f" {format_units(line.difference)} CNH"
            for line in broken
        )
        raise Unreconciled(f"{len(broken)} of {len(lines)} comparisons differ: {found}")


def _show(session: Session, books: Books, lines: list[Line]) -> None:
    rows = [
        {
            "what": line.what,
            "expected": format_units(line.expected),
            "found": format_units(line.found),
            "difference": format_units(line.difference),
        }
        for line in lines
    ]
    if session.as_json:
        missing = [name for name in (chart.COLLECTION, chart.RESERVE) if name not in _stated(books)]
        answer.echo_json({"block": books.block, "without_statement": missing, "lines": rows})
        return
    answer.rows(rows, ("what", "expected", "found", "difference"), empty="", as_json=False)
    for name in (chart.COLLECTION, chart.RESERVE):
        if name not in _stated(books):
            click.echo(f"{name}: the bank has sent no statement yet, so there is nothing to compare.")


def _stated(books: Books) -> set[str]:
    return {item.account for item in books.closings}
