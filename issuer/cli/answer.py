"""Answers: rows as people read them, or as JSON. Amounts become CNH text and times RFC 3339 here, and nowhere below.

One colour has one meaning: what is yellow waits for a person. Nothing is coloured or cut where no terminal reads.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from issuer.clock import utc
from issuer.messages.contracts import MINT, REDEEM, TRANSFER
from issuer.money import format_fen, format_units

# What answers in JSON does not wait for rich.
if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_UNITS = frozenset(
    ("value", "par", "balance", "reserve", "paid", "credited", "withheld", "capacity", "refill", "available")
)
_TIMES = frozenset(("at", "reserved_at", "since", "expires", "deadline", "ready_at", "as_of", "until"))
_FEN = "_fen"

STOPS = {"transfer": TRANSFER, "mint": MINT, "redeem": REDEEM}
"""The bits of a stop by the names that people use."""

ATTENTION = "yellow"
_FOR_PERSONS = frozenset(("requested", "held", "returned", "suspense", "rejected", "failed", "refused"))
"""States in which a person, not the service, has to do something."""

_ANY_WIDTH = 10_000


def present(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its amounts and times as text: units with six decimals, fen with two and without the suffix."""
    return dict(_present(name, value) for name, value in row.items())


def given(row: Mapping[str, Any], *, key: str, replayed: bool, as_json: bool) -> None:
    """Show the answer to a request, with the key it is bound to."""
    if as_json:
        echo_json(present(row) | {"request": {"key": key, "replayed": replayed}})
        return
    record({name: value for name, value in row.items() if name != "done_when"}, as_json=False)
    if "done_when" in row:
        click.echo(f"Ordered, not done yet: it is done when {row['done_when']}.")
    if replayed:
        click.echo(f"This is the first answer to key {key}, given again: nothing was done now.")
    else:
        click.echo(f"Under key {key}: the same request with --key {key} gives this answer again.")


def record(row: Mapping[str, Any], *, as_json: bool) -> None:
    """Show one thing, a line for each of its parts."""
    shown = present(row)
    if as_json:
        echo_json(shown)
        return
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for name, value in _flat(shown):
        if value is not None:
            grid.add_row(name.replace("_", " "), _cell(name, value))
    _print(grid, uncut=True)


def rows(found: Iterable[Mapping[str, Any]], columns: Sequence[str], *, empty: str, as_json: bool) -> None:
    """Show a list: these columns as a table, or everything as JSON; `empty` says what it means to have nothing."""
    shown = [present(row) for row in found]
    if as_json:
        echo_json(shown)
    elif shown:
        _print(_table(shown, columns))
    else:
        click.echo(empty)


def echo_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _present(name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, Mapping):
        return name, present(value)
    if name == "stops":
        # A record writes a number that is no amount as text.
        return name, [act for act, bit in STOPS.items() if int(value) & bit]
    if isinstance(value, int) and not isinstance(value, bool):
        if name.endswith(_FEN):
            return name.removesuffix(_FEN), format_fen(value)
        if name in _UNITS:
            return name, format_units(value)
        if name in _TIMES:
            return name, utc(value)
    return name.removesuffix(_FEN), value


def _flat(shown: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in shown.items():
        if isinstance(value, Mapping):
            yield from ((f"{name} {part}", inner) for part, inner in value.items())
        else:
            yield name, value


def _table(shown: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        numeric = all(_is_number(row[name]) for row in shown)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in shown:
        table.add_row(*(_cell(name, row[name]) for name in columns))
    return table


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, int) or (isinstance(value, str) and value.replace(".", "", 1).isdigit())


def _cell(name: str, value: Any) -> "Text":
    from rich.text import Text

    waits = name == "state" and value in _FOR_PERSONS
    return Text(_text(value), style=ATTENTION if waits else "")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return "" if value is None else str(value)


def _print(table: "Table", *, uncut: bool = False) -> None:
    """As wide as the terminal is; as wide as it takes where there is none, or for what is to be copied."""
    from rich.console import Console

    found = Console(highlight=False, markup=False)
    if uncut or not found.is_terminal:
        found = Console(highlight=False, markup=False, width=_ANY_WIDTH)
    with found.capture() as captured:
        found.print(table)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
