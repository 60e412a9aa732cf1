"""Amounts: integers everywhere, text only at the edges.

Tokens are counted in units of 10^-6 CNH, money at the bank in fen (10^-2 CNY). One fen is 10,000 units.
The market code is CNH inside the system and CNY on bank messages, because ISO 4217 has no CNH.
"""

import re

from issuer.errors import InvalidAmount

UNITS_PER_CNH = 1_000_000
FEN_PER_CNH = 100
UNITS_PER_FEN = UNITS_PER_CNH // FEN_PER_CNH

MAX_UNITS = 2**63 - 1
"""The largest amount a book or a table can hold (a signed 64-bit column): 9.2 trillion CNH."""

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,12})(?:\.([0-9]+))?")


def parse_units(text: str) -> int:
    """Read a positive CNH amount with up to six decimals, such as ``1000000.00``, as units.

    Raises InvalidAmount for anything else: signs, separators, exponents, NaN, zero, too many decimals, too large.
    """
    return _parse(text, 6)


def parse_fen(text: str) -> int:
    """Read a positive amount of money at the bank with up to two decimals, as fen. Raises InvalidAmount."""
    return _parse(text, 2)


def format_units(units: int) -> str:
    """Write units as CNH with six decimals: ``900000.000000``. Negative amounts keep their sign."""
    return _format(units, 6)


def format_fen(fen: int) -> str:
    """Write fen with two decimals: ``900000.00``. Negative amounts keep their sign."""
    return _format(fen, 2)


def fen_to_units(fen: int) -> int:
    """The same money counted in units."""
    return fen * UNITS_PER_FEN


def units_to_fen(units: int) -> int:
    """The same money counted in fen. Raises InvalidAmount if it is not a whole number of fen."""
    fen, rest = divmod(units, UNITS_PER_FEN)
    if rest:
        raise InvalidAmount(f"{format_units(units)} CNH is not a whole number of fen")
    return fen


def whole_fen(units: int) -> int:
    """The fen that a holder receives for units: rounded down, as a redemption of a whole balance is."""
    return units // UNITS_PER_FEN


def _parse(text: str, decimals: int) -> int:
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise InvalidAmount(f"{text!r} is not an amount")
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > decimals:
        raise InvalidAmount(f"{text} has more than {decimals} decimals")
    amount = int(whole + fraction.ljust(decimals, "0"))
    if amount == 0:
        raise InvalidAmount("the amount is zero")
    if int(whole) >= MAX_UNITS // UNITS_PER_CNH:
        raise InvalidAmount(f"{text} is above the largest amount the books can hold")
    return amount


def _format(amount: int, decimals: int) -> str:
    whole, fraction = divmod(abs(amount), 10**decimals)
    return f"{'-' if amount < 0 else ''}{whole}.{fraction:0{decimals}d}"
