"""Who may call what, from contracts/roles.toml: the conflicts that the authority is built with, and what wires it.

Pure but for reading the table. The table's own comment says how each line is meant.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from issuer.messages.abi import keccak

CONTRACT_FILES = {
    "OffshoreYuan": "token",
    "Minter": "minter",
    "ReserveFeed": "feed",
    "Authority": "authority",
}
"""The contracts of the table by the names they go by here."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A bucket of the minter: units it holds when full, and units that come back per second."""

    capacity: int
    refill: int


@dataclass(frozen=True, kw_only=True)
class Permission:
    """The functions of one contract that one role may call."""

    contract: str
    role: int
    signatures: tuple[str, ...]

    @property
    def selectors(self) -> list[str]:
        return [keccak(signature.encode())[:10] for signature in self.signatures]


class Table:
    """contracts/roles.toml, read."""

    def __init__(self, path: Path) -> None:
        self._table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        self.roles: dict[str, int] = {role["name"]: role["id"] for role in self._table["roles"]}

    def conflicts(self) -> list[int]:
        """For each role from 0 the set of those that conflict with it; bit i is role i."""
        sets = [0] * (max(self.roles.values()) + 1)
        for one, other in self._table["conflicts"]:
            sets[self.roles[one]] |= 1 << self.roles[other]
            sets[self.roles[other]] |= 1 << self.roles[one]
        return sets

    def grants(self, holders: Mapping[str, str]) -> list[tuple[int, str]]:
        """(role, address) of each holder of the roles that the bootstrap grants; ADMIN is handed over by itself."""
        return [
            (role["id"], holders[holder])
            for role in self._table["roles"]
            if role["name"] != "ADMIN" and not self._is_marker(role)
            for holder in role["holders"]
        ]

    def permissions(self) -> list[Permission]:
        """What each role but ADMIN may call; ADMIN is the authority's own default."""
        found: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        for contract, signature, role in self._functions():
            if role in self.roles and role != "ADMIN":
                found[CONTRACT_FILES[contract], self.roles[role]].append(signature)
        return [
            Permission(contract=contract, role=role, signatures=tuple(signatures))
            for (contract, role), signatures in found.items()
        ]

    def described(self, delay: int) -> list[dict[str, Any]]:
        """Each role as the bootstrap takes it; delays in seconds."""
        return [
            {
                "id": role["id"],
                "admin": self.roles[role["admin"]],
                "guardian": self.roles[role["guardian"]],
                "grantDelay": delay if role["grant_delay"] == "delay" else 0,
                "label": role["name"],
            }
            for role in self._table["roles"]
        ]

    def _is_marker(self, role: Mapping[str, Any]) -> bool:
        return bool(role["admin"] != "ADMIN")

    def _functions(self) -> Iterator[tuple[str, str, str]]:
        """(contract, signature, first word for who) of every line of both tables."""
        for contract, tables in self._table["contracts"].items():
            if contract in CONTRACT_FILES:
                for signature, who in [*tables["functions"].items(), *tables["slow"].items()]:
                    yield contract, signature, who if isinstance(who, str) else who[0]


def argument(
    table: Table,
    addresses: Mapping[str, str],
    keys: Mapping[str, str],
    *,
    delay: int,
    limits: Iterable[tuple[str, Limit]],
    attestors: Iterable[str],
    quorum: int,
) -> dict[str, Any]:
    """What Bootstrap.run is called with. ``limits`` are (key, limit), the window's first."""
    holders = {**keys, **{name: addresses[short] for name, short in CONTRACT_FILES.items()}}
    return {
        **{name: addresses[name] for name in ("authority", "token", "minter", "feed")},
        "roles": table.described(delay),
        "grants": [{"role": role, "account": account} for role, account in table.grants(holders)],
        "permissions": [
            {"target": addresses[item.contract], "role": item.role, "selectors": item.selectors}
            for item in table.permissions()
        ],
        "targets": [addresses[name] for name in CONTRACT_FILES.values()],
        "adminDelay": delay,
        "limits": [{"key": key, "capacity": limit.capacity, "refill": limit.refill} for key, limit in limits],
        "attestors": list(attestors),
        "quorum": quorum,
    }
