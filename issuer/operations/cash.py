"""Cash: what the bank has booked on our two accounts with it. It always posts, whatever the books had there."""

from collections.abc import Iterable, Iterator

from issuer.ledger import chart, journal
from issuer.ledger.journal import Entry
from issuer.money import format_units
from issuer.operations import locks
from issuer.store.states import Scope
from issuer.store.unit import Unit

_AT_THE_BANK = (chart.COLLECTION, chart.RESERVE)


def post(unit: Unit, *entries: Entry) -> None:
    """Post what was booked. What left an account beyond what it held is its overdraft, and locks minting and payouts.

    What comes in repays an overdraft first.
    """
    names = [name for account in _AT_THE_BANK for name in (account, chart.overdraft(account))]
    held = journal.balances_of(unit.connection, names)
    posted = [_within(held, item) for item in entries]
    journal.post(unit, *posted)
    for item in posted:
        for name, units in item.amounts:
            if name.startswith(chart.OVERDRAFT) and units < 0:
                _lock(unit, item, name, -units)


def _within(held: dict[str, int], item: Entry) -> Entry:
    """The entry with each side at the bank split into what its account can bear and what is overdraft."""
    return Entry(description=item.description, subject=item.subject, amounts=tuple(_split(held, item.amounts)))


def _split(held: dict[str, int], amounts: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    for name, units in amounts:
        if name not in _AT_THE_BANK:
            yield name, units
            continue
        debt = chart.overdraft(name)
        over = min(units, held[debt]) if units > 0 else min(0, units + held[name])
        held[name] += units - over
        held[debt] -= over
        yield from ((account, part) for account, part in ((name, units - over), (debt, over)) if part)


def _lock(unit: Unit, item: Entry, name: str, units: int) -> None:
    reason = f"the bank let {format_units(units)} CNH more leave than the account held ({name}, {item.subject})"
    for scope in (Scope.MINTING, Scope.PAYOUTS):
        locks.engage(unit, scope, "overdrawn-account", reason, "Ask the bank what it is, settle it, clear the lock.")
