"""Figures: what is measured, in which unit, and what it should be at least or at most."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

Value = int | Decimal | str
"""A count, a measured number rounded to what it is worth, or a word about the machine."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One figure of a measurement."""

    name: str
    what: str
    unit: str
    at_least: Decimal | None = None
    at_most: Decimal | None = None

    @property
    def goal(self) -> str | None:
        """As it is written and read: ``>= 15000``."""
        if self.at_least is not None:
            return f">= {self.at_least}"
        return None if self.at_most is None else f"<= {self.at_most}"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A set of figures that one run gives, side by side."""

    name: str
    title: str
    text: str  # how it is measured, and what is in the time
    lines: tuple[Line, ...]
    run: Callable[[], Mapping[str, Value]] = field(compare=False)  # the figures by their lines' names

    def measure(self) -> dict[str, Value]:
        """Raises AssertionError unless the run gives every figure and no other."""
        found = dict(self.run())
        assert found.keys() == {line.name for line in self.lines}, found.keys()
        return found


def rate(count: int, seconds: float) -> Value:
    """How many in a second; three digits are what a run is worth."""
    return _three_digits(count / seconds)


def milliseconds(seconds: float) -> Value:
    return _three_digits(seconds * 1000)


def seconds(value: float) -> Value:
    return _three_digits(value)


def ratio(over: float, under: float) -> Value:
    return _three_digits(over / under)


def _three_digits(value: float) -> Value:
    found = Decimal(f"{value:.3g}")
    return int(found) if found == found.to_integral_value() else found
