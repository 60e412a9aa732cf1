"""The chart of accounts. One book per coin; every amount in it is in units of 10^-6 CNH."""

from enum import StrEnum

BOOK = "CNH"


class Kind(StrEnum):
    ASSET = "asset"  # normal side: debit
    LIABILITY = "liability"  # normal side: credit
    EQUITY = "equity"  # normal side: credit


COLLECTION = "bank:collection"  # customers' money: backs nothing
RESERVE = "bank:reserve"  # backs tokens and unpaid redemptions
TRANSIT = "bank:transit"  # between the two, while only one side is booked
EARLY = "transit:early"  # what came from one to the other before it was told to have left
UNEXPLAINED_DEBITS = "suspense:debits"  # money that left, or tokens that came, without an order of ours
SUSPENSE = "suspense:credits"  # money that came from nobody we know
IN_FLIGHT = "mint:in-flight"  # a customer's money bound to a mint order
OUTSTANDING = "tokens:outstanding"
REDEMPTIONS = "redemptions:payable"
REFUNDS = "refunds:payable"  # on its way back to a customer or a sender
BUFFER = "issuer:buffer"  # the issuer's own money in the reserve
OVERDRAFT = "overdraft:"  # followed by the bank account: what left it beyond all that the books had there
CUSTOMER = "customer:"  # followed by the customer's number

ASSETS = (COLLECTION, RESERVE, TRANSIT, UNEXPLAINED_DEBITS)


def customer(customer_id: int) -> str:
    """The account of what one customer has paid in and not yet minted or taken back."""
    return f"{CUSTOMER}{customer_id}"


def overdraft(name: str) -> str:
    """The account of what the bank let leave a bank account beyond what it held."""
    return f"{OVERDRAFT}{name.removeprefix('bank:')}"


def kind(name: str) -> Kind:
    if name in ASSETS:
        return Kind.ASSET
    return Kind.EQUITY if name == BUFFER else Kind.LIABILITY


def normal(name: str) -> int:
    """+1 if debits raise the account, -1 if credits do."""
    return 1 if kind(name) is Kind.ASSET else -1
