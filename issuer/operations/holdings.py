"""Holdings: every address's tokens as the final transfers add them up, to be compared with the chain (R-18)."""

from collections import defaultdict

from sqlalchemy import Connection, select

from issuer.store import sets
from issuer.store.facts import Fact
from issuer.store.inserts import insert_new
from issuer.store.tables import holding
from issuer.store.unit import Unit

NOBODY = "0x" + "00" * 20
"""The other side of a mint or a burn in a Transfer event."""


def moved(unit: Unit, fact: Fact) -> None:
    """Apply all transfers of one final block."""
    changes: defaultdict[str, int] = defaultdict(int)
    for sender, recipient, value in fact.payload["transfers"]:
        changes[sender] -= value
        changes[recipient] += value
    changes.pop(NOBODY, None)
    if not changes:
        return
    fresh = [{"address": address, "balance": 0} for address in sorted(changes)]
    unit.connection.execute(insert_new(unit.connection, holding), fresh)
    sets.add(unit, holding, changes)


def every(connection: Connection) -> dict[str, int]:
    """Tokens by address, in units."""
    rows = connection.execute(select(holding.c.address, holding.c.balance).order_by(holding.c.address))
    return {address: balance for address, balance in rows}
