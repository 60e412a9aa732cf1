"""Customers: who may have tokens issued and redeemed, and the one bank account registered in their own name."""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from issuer import audit
from issuer.audit import personal, trail
from issuer.errors import BrokenInvariant, InvalidInput, NotFound, Refused
from issuer.messages import iso20022, pain
from issuer.operations.policy import Policy
from issuer.store.tables import customer
from issuer.store.unit import Unit

_GET = select(customer).where(customer.c.id == bindparam("customer"))
_BY_ACCOUNT = select(customer).where(customer.c.bank_account == bindparam("account"))
_ACCOUNT = re.compile(r"[0-9A-Z]{6,34}")


class Prohibited(Refused):
    """The issuer does not serve customers there (R-06)."""

    code = "prohibited-jurisdiction"
    remedy = "Nothing can be done: the service is not offered there."


def add(unit: Unit, policy: Policy, *, name: str, jurisdiction: str, bank_account: str) -> dict[str, Any]:
    """Register a customer with the bank account held in the same name (R-29).

    Raises InvalidInput, Prohibited, or Refused if the account is another customer's.
    """
    name = check_payee(policy, name, bank_account)
    if re.fullmatch(r"[A-Z]{2}", jurisdiction) is None:
        raise InvalidInput(f"{jurisdiction!r} is not a country code", "Give two letters of ISO 3166-1, such as HK.")
    if jurisdiction in policy.refused_jurisdictions:
        raise Prohibited(f"customers of {jurisdiction} are not served")
    if by_account(unit.connection, bank_account) is not None:
        raise Refused(f"the account {bank_account} is registered to another customer", "Give the customer's own.")
    values = {"name": name, "jurisdiction": jurisdiction, "bank_account": bank_account, "at": unit.now}
    customer_id = unit.connection.execute(insert(customer).values(**values).returning(customer.c.id)).scalar_one()
    audit.append(
        unit,
        "customer.added",
        f"customer:{customer_id}",
        after={
            "name": audit.commit_personal(unit, name),
            "bank_account": audit.commit_personal(unit, bank_account),
            "jurisdiction": jurisdiction,
        },
    )
    return get(unit.connection, customer_id)


def get(connection: Connection, customer_id: int) -> dict[str, Any]:
    """One customer. Raises NotFound."""
    row = connection.execute(_GET, {"customer": customer_id}).one_or_none()
    if row is None:
        raise NotFound(f"there is no customer {customer_id}", "See `issuer customer list`.")
    return dict(row._mapping)


def payable(connection: Connection, customer_id: int) -> dict[str, Any]:
    """A customer whose name and account are those that the log committed to when the customer was added.

    Raises BrokenInvariant if the row was changed since: money must not follow it.
    """
    row = get(connection, customer_id)
    added = _committed(connection, customer_id)
    for name in ("name", "bank_account"):
        opening = personal.reveal(connection, added.get(name, ""))
        if opening.value != row[name] or opening.commitment != added[name]:
            raise BrokenInvariant(
                f"the {name.replace('_', ' ')} of customer {customer_id} is not the one that the log commits to"
            )
    return row


def every(connection: Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(select(customer).order_by(customer.c.id)).mappings()]


def by_account(connection: Connection, bank_account: str) -> dict[str, Any] | None:
    row = connection.execute(_BY_ACCOUNT, {"account": bank_account}).mappings().one_or_none()
    return None if row is None else dict(row)


def same_name(registered: str, given: str) -> bool:
    """Whether a bank's spelling of a name is the registered one, but for case and spacing."""
    return " ".join(registered.split()).casefold() == " ".join(given.split()).casefold()


def _committed(connection: Connection, customer_id: int) -> Mapping[str, Any]:
    """The customer's first record, or if its salts were lost with a database, the one that took its place."""
    known = ("customer.added", "customer.restored")
    found = [entry.record for entry in trail.trace(connection, [f"customer:{customer_id}"])]
    records = [record.after or {} for record in found if record.action in known]
    kept = [record for record in records if personal.is_kept(connection, record["name"])]
    return next(iter(kept or records), {})


def check_payee(policy: Policy, name: str, bank_account: str) -> str:
    """The name of an account's holder with single spaces. Raises InvalidInput if either cannot be paid to.

    The issuer's own accounts cannot: what it paid to itself would arrive without an order that explains it.
    """
    name = " ".join(name.split())
    iso20022.check_text(name, "the name", pain.LONGEST_NAME, shortest=1)
    if _ACCOUNT.fullmatch(bank_account) is None:
        raise InvalidInput(f"{bank_account!r} is not a bank account", "Give 6 to 34 capital letters and digits.")
    if bank_account in (policy.collection_account, policy.reserve_account):
        raise InvalidInput(
            f"{bank_account} is the issuer's own account", "Give an account of the one who is to be paid."
        )
    return name
