"""Personal data: records hold only commitments to it, SHA-256 over a random salt and the canonical value.

The salt and the value lie in a table of their own. With the salt erased, nobody can tell from the commitment whose it
was, nor try names until one fits, and every proof that the log gives still holds.
"""

from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, delete, insert, select

from issuer.audit import record
from issuer.errors import NotFound
from issuer.store.tables import salt as salt_table
from issuer.store.unit import Unit

SALT_SIZE = 32
"""Bytes."""

LOST = "0x" + "00" * SALT_SIZE
"""Stands for a commitment whose salt was lost with a database."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What proves what a commitment stands for."""

    salt: bytes
    value: str

    @property
    def commitment(self) -> str:
        return "0x" + sha256(self.salt + record.canonical(self.value)).hexdigest()


def commit_personal(unit: Unit, value: str) -> str:
    """Keep the value with a fresh salt; return the commitment that may be written to the log.

    In recovery the log has its commitment already, whose salt is lost: nothing is kept.
    """
    if unit.recall is not None:
        return LOST
    opening = Opening(salt=unit.random_bytes(SALT_SIZE), value=value)
    row = {"commitment": opening.commitment, "salt": opening.salt, "value": value}
    unit.connection.execute(insert(salt_table).values(row))
    return opening.commitment


def reveal(connection: Connection, commitment: str) -> Opening:
    """What a commitment in the log stands for. Raises NotFound once it is erased."""
    row = connection.execute(select(salt_table).where(salt_table.c.commitment == commitment)).one_or_none()
    if row is None:
        raise NotFound(f"nothing is kept for the commitment {commitment}", "It was erased, or never made here.")
    return Opening(salt=row.salt, value=row.value)


def is_kept(connection: Connection, commitment: str) -> bool:
    """Whether what a commitment stands for is still known here."""
    statement = select(salt_table.c.commitment).where(salt_table.c.commitment == commitment)
    return connection.execute(statement).first() is not None


def erase(unit: Unit, commitment: str) -> int:
    """Erase what a commitment stands for, and record that it was; return the record's id. Raises NotFound."""
    statement = delete(salt_table).where(salt_table.c.commitment == commitment)
    if unit.connection.execute(statement).rowcount == 0:
        raise NotFound(f"nothing is kept for the commitment {commitment}", "It was erased, or never made here.")
    return record.append(unit, "personal.erased", f"commitment:{commitment}")
