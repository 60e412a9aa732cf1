"""Every table of the issuer, in the order of the house. Amounts are integers in units of 10^-6 CNH, or in fen where
the column says so; times are seconds since 1970 UTC; addresses are EIP-55 text; hashes are 0x-hex text.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fk",
        "ck": "%(table_name)s_%(constraint_name)s",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)

# SQLite gives a row its number only when the key's type is exactly INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


class _Said(Text.Comparator[str]):
    def operate(self, op: Any, *other: Any, **options: Any) -> Any:
        return super().operate(op, *(_said(item) for item in other), **options)


class State(Text):
    """A state, which a statement says itself where the program fixes it, instead of binding it.

    A partial index serves a bound value only if the plan is made anew for it: SQLite does so at each execution, and
    PostgreSQL forgoes the index once it has kept a plan.
    """

    comparator_factory = _Said


def _said(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return literal_column(f"'{value}'", Text)
    return [_said(item) for item in value] if isinstance(value, tuple) else value


def only_where(condition: str) -> dict[str, Any]:
    """The options that make an index partial, for both engines."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


# -- the unit of work

setting = Table(
    "setting",
    metadata,
    Column("name", Text, primary_key=True),  # what this database is bound to: genesis, chain_id, token
    Column("value", Text, nullable=False),
)

request = Table(
    "request",
    metadata,
    Column("key", Text, primary_key=True),  # bound for ever to the caller, the operation and the body below
    Column("caller", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("body_hash", Text, nullable=False),
    Column("answer", JSON, nullable=False),
    Column("at", BigInteger, nullable=False),
)

intent = Table(
    "intent",
    metadata,
    Column("id", Id, primary_key=True),
    Column("door", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("record_id", Id, ForeignKey("audit_record.id"), nullable=False),  # must have its place in the log
    Column("state", State, nullable=False),
    Column("at", BigInteger, nullable=False),
)
Index("intent_waiting_idx", intent.c.door, intent.c.id, **only_where("state = 'open'"))
# One live mint for one batch: the second is refused by the database itself.
Index("intent_mint_key", intent.c.subject, unique=True, **only_where("kind = 'mint' AND state <> 'void'"))

fact = Table(
    "fact",
    metadata,
    Column("id", Id, primary_key=True),
    Column("door", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", State, nullable=False),
    Column("at", BigInteger, nullable=False),
    # The world may tell the same thing twice; it becomes a fact once.
    UniqueConstraint("door", "key"),
)
Index("fact_new_idx", fact.c.id, **only_where("state = 'new'"))

lock = Table(
    "lock",
    metadata,
    Column("id", Id, primary_key=True),
    Column("scope", Text, nullable=False),  # minting | payouts
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("cleared_at", BigInteger),
)
# One lock for one cause: a repeated alarm does not bury the first.
Index("lock_live_key", lock.c.scope, lock.c.code, unique=True, **only_where("cleared_at IS NULL"))


# -- a restored database

recovery = Table(
    "recovery",
    metadata,
    Column("only", Integer, CheckConstraint("only = 1", name="one_row"), primary_key=True),  # while it is on
    Column("cause", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("known_until", BigInteger, nullable=False),  # the last moment that the restored database knew
    Column("scanned", BigInteger),  # the last block searched for transactions that the database had lost
    Column("fenced", Boolean, nullable=False),  # nonces of lost transactions are being used up
    Column("waits", JSON, nullable=False),  # what it waited for at its last step: shown only
)

unapplied = Table(
    "unapplied",
    metadata,
    Column("place", BigInteger, primary_key=True, autoincrement=False),  # of a record whose effect was lost
)


# -- the audit log

audit_record = Table(
    "audit_record",
    metadata,
    Column("id", Id, primary_key=True),
    Column("body", LargeBinary, nullable=False),  # canonical JSON, RFC 8785
    Column("subject", Text, nullable=False),
    Column("place", BigInteger, unique=True),  # its index in the tree, once the integrator has given it
)
Index("audit_record_unplaced_idx", audit_record.c.id, **only_where("place IS NULL"))
Index("audit_record_subject_idx", audit_record.c.subject)

salt = Table(
    "salt",
    metadata,
    Column("commitment", Text, primary_key=True),
    Column("salt", LargeBinary, nullable=False),  # erasing the row erases the person and keeps the proof
    Column("value", Text, nullable=False),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True),
    Column("root", Text, nullable=False),
    Column("note", Text, nullable=False),  # C2SP signed note
    Column("at", BigInteger, nullable=False),
)

log_tree = Table(
    "log_tree",
    metadata,
    Column("only", Integer, CheckConstraint("only = 1", name="one_row"), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("frontier", LargeBinary, nullable=False),  # the compact range's hashes, 32 bytes each, left to right
    Column("published", BigInteger, nullable=False),  # the size that lies, synced, in the log folder
)


# -- the books

account = Table(
    "account",
    metadata,
    Column("id", Id, primary_key=True),
    Column("book", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("balance", BigInteger, nullable=False),  # on the account's normal side
    Column("version", BigInteger, nullable=False),  # the last entry that touched it
    UniqueConstraint("book", "name"),
    # SQLite would go on in floating point beyond 64 bits.
    CheckConstraint("balance BETWEEN 0 AND 9223372036854775807", name="in_range"),
)

entry = Table(
    "entry",
    metadata,
    Column("id", Id, primary_key=True),
    Column("book", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# Written with their entry, and for accounts that were just looked up: keys that the database checks for each of them
# took two thirds of the time, and the ledger's own verification looks for them.
posting = Table(
    "posting",
    metadata,
    Column("entry_id", Id, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("account_id", Id, nullable=False),
    Column("amount", BigInteger, nullable=False),  # debit positive, credit negative
)
Index("posting_account_idx", posting.c.account_id, posting.c.entry_id)

holding = Table(
    "holding",
    metadata,
    Column("address", Text, primary_key=True),
    Column("balance", BigInteger, nullable=False),
    CheckConstraint("balance >= 0", name="not_negative"),
)


# -- operations

customer = Table(
    "customer",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("jurisdiction", Text, nullable=False),  # ISO 3166-1 alpha-2
    Column("bank_account", Text, nullable=False, unique=True),  # registered in the customer's own name
    Column("at", BigInteger, nullable=False),
)

wallet = Table(
    "wallet",
    metadata,
    Column("address", Text, primary_key=True),
    Column("customer_id", Id, ForeignKey("customer.id"), nullable=False),
    Column("challenge", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("state", State, nullable=False),
    Column("standing", Boolean, nullable=False),  # what arrives is minted here without asking again
    Column("at", BigInteger, nullable=False),
)
# A deposit can follow one standing instruction only.
Index("wallet_standing_key", wallet.c.customer_id, unique=True, **only_where("standing"))

deposit = Table(
    "deposit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("fact_id", Id, ForeignKey("fact.id"), nullable=False, unique=True),
    Column("reference", Text, nullable=False, unique=True),  # the bank's own reference of the credit
    Column("amount_fen", BigInteger, nullable=False),
    Column("sender_account", Text, nullable=False),
    Column("sender_name", Text, nullable=False),
    Column("customer_id", Id, ForeignKey("customer.id")),
    Column("state", State, nullable=False),
    Column("reason", Text),
    Column("taken_back", Text),  # the bank's reference of the entry that did so while the money was not free
    Column("at", BigInteger, nullable=False),
)
# SQLite uses a partial index only for the very condition that it was made with: these tell what waits in any state.
Index("deposit_state_idx", deposit.c.state, deposit.c.id)

batch = Table(
    "batch",
    metadata,
    Column("id", Id, primary_key=True),
    Column("reference", Text, nullable=False, unique=True),  # RFC 6962 root over the orders' ids, in order
    Column("count", Integer, nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("state", State, nullable=False),
    Column("first", BigInteger, unique=True),  # the first order's number, once final
    Column("not_before", BigInteger, nullable=False),  # a refused mint is not tried again before this time
    Column("refusals", Integer, nullable=False),  # one after the other: each makes the next pause longer
    Column("refusal", Text),  # the last one's error, until the batch is another
    Column("at", BigInteger, nullable=False),
)
Index("batch_state_idx", batch.c.state, batch.c.id)

mint_order = Table(
    "mint_order",
    metadata,
    Column("id", Id, primary_key=True),
    Column("commitment", Text, nullable=False, unique=True),  # the order's 32-byte id, a leaf of the reference
    Column("customer_id", Id, ForeignKey("customer.id"), nullable=False),
    Column("wallet", Text, ForeignKey("wallet.address"), nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("state", State, nullable=False),
    Column("batch_id", Id, ForeignKey("batch.id")),
    Column("position", Integer),
    Column("requested_by", Text, nullable=False),
    Column("decided_by", Text),
    Column("reason", Text),
    Column("reserved_at", BigInteger),  # since when it may be batched
    Column("withheld_by", BigInteger),  # the report that leaves a failed order's money out, so that it may go back
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("batch_id", "position"),
)
Index("mint_order_state_idx", mint_order.c.state, mint_order.c.id)

redemption = Table(
    "redemption",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),  # the cumulative redeemed after the burn
    Column("holder", Text, nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("reference", Text, nullable=False),
    Column("transaction_hash", Text, nullable=False),
    Column("customer_id", Id, ForeignKey("customer.id")),
    Column("state", State, nullable=False),
    Column("reason", Text),
    Column("deadline", BigInteger, nullable=False),
    Column("seized_under", Text),  # the case's id on chain, if it was seized: its payee is what the case orders
    Column("payee_account", Text),
    Column("payee_name", Text),
    Column("payee_by", Text),  # who gave the payee; another person approves
    Column("at", BigInteger, nullable=False),
)
Index("redemption_state_idx", redemption.c.state, redemption.c.id)

payout = Table(
    "payout",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("amount_fen", BigInteger, nullable=False),
    Column("fee_fen", BigInteger, nullable=False),
    Column("par", BigInteger, nullable=False),  # what it discharges, in units
    Column("debtor_account", Text, nullable=False),
    Column("creditor_account", Text, nullable=False),
    Column("creditor_name", Text, nullable=False),
    Column("message_id", Text, nullable=False, unique=True),  # the end-to-end id too
    Column("booked_fen", BigInteger, nullable=False),  # what has left so far
    Column("state", State, nullable=False),
    Column("reason", Text),
    Column("at", BigInteger, nullable=False),
)
Index("payout_cause_idx", payout.c.subject, payout.c.kind)
# One live payout for one cause: the second instruction is refused by the database itself.
Index(
    "payout_live_key",
    payout.c.subject,
    payout.c.kind,
    unique=True,
    **only_where("state NOT IN ('rejected', 'returned')"),
)

document = Table(
    "document",
    metadata,
    Column("intent_id", Id, ForeignKey("intent.id"), primary_key=True),
    Column("folder", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # fixed before the file is written: a crash writes the same bytes
    UniqueConstraint("folder", "name"),
)

received = Table(
    "received",
    metadata,
    Column("folder", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("digest", Text, nullable=False),  # SHA-256 of the bytes as they came
    Column("at", BigInteger, nullable=False),
)

statement = Table(
    "statement",
    metadata,
    Column("account", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("opening_fen", BigInteger, nullable=False),
    Column("closing_fen", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("fact_id", Id, ForeignKey("fact.id"), nullable=False),  # when it came, among the bank's other facts
)

report = Table(
    "report",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("state", State, nullable=False),
    Column("log_size", BigInteger, nullable=False),
    Column("log_root", Text, nullable=False),
    Column("withheld", BigInteger, nullable=False),  # money of failed orders that it must leave out
    Column("reserve", BigInteger),
    Column("paid", BigInteger),
    Column("credited", BigInteger),
    Column("as_of", BigInteger),
    Column("signatures", JSON, nullable=False),  # {signer: signature}
    Column("reason", Text),
    Column("at", BigInteger, nullable=False),
)
# A second report is asked for only when the first is answered.
Index("report_asked_key", report.c.state, unique=True, **only_where("state = 'requested'"))

proposal = Table(
    "proposal",
    metadata,
    Column("act_id", Text, primary_key=True),
    Column("contract", Text, nullable=False),  # token | minter | feed | authority
    Column("act", Text, nullable=False),  # calldata of the slow function
    Column("operation", Text),  # the authority's name of it, where it is the authority's
    Column("caller", Text),  # who has scheduled that: a part of the name, and who alone may execute it
    Column("case", Text),  # that it was ordered under; none if somebody else has proposed it
    Column("ready_at", BigInteger),  # none until it is proposed on chain
    Column("state", State, nullable=False),
    Column("reason", Text),  # of its refusal
    Column("at", BigInteger, nullable=False),
)


# -- the chain door

signer = Table(
    "signer",
    metadata,
    Column("address", Text, primary_key=True),
    Column("role", Text, nullable=False, unique=True),  # the key's one job
    Column("next_nonce", BigInteger, nullable=False),
    Column("halted", Text),  # why it stopped sending, until an operator resumes it
)

duty = Table(
    "duty",
    metadata,
    Column("name", Text, primary_key=True),  # the job of the key that does it on an ordinary day
    Column("term", BigInteger, nullable=False),  # one more with each process that takes the duty over
    Column("holder", Text, nullable=False),  # the process that sends in this term; empty before the first
    Column("lease", BigInteger, nullable=False),  # until when, by the database's clock, no other takes it over
)

transaction = Table(
    "transaction",
    metadata,
    Column("id", Id, primary_key=True),
    Column("signer", Text, ForeignKey("signer.address"), nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("intent_id", Id, ForeignKey("intent.id"), nullable=False),
    Column("target", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("gas", BigInteger, nullable=False),
    Column("state", State, nullable=False),
    Column("outcome", Text),
    Column("after_block", BigInteger, nullable=False),  # the final block when it was signed: its nonce was free there
    Column("mined_block", BigInteger),  # shown while it waits for finality; drives nothing
    Column("mined_hash", Text),  # the attempt that is in that block
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("signer", "nonce"),
)
# An intent belongs to one signed transaction until that nonce is final.
Index("transaction_live_key", transaction.c.intent_id, unique=True, **only_where("state = 'signed'"))

attempt = Table(
    "attempt",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("transaction_id", Id, ForeignKey("transaction.id"), nullable=False),
    Column("raw", Text, nullable=False),  # the signed bytes, stored before they are first sent
    Column("max_fee", BigInteger, nullable=False),
    Column("priority_fee", BigInteger, nullable=False),
    Column("cancels", Boolean, nullable=False),  # an operator's self-transfer in the place of the call
    Column("at", BigInteger, nullable=False),
)

cursor = Table(
    "cursor",
    metadata,
    Column("only", Integer, CheckConstraint("only = 1", name="one_row"), primary_key=True),
    Column("number", BigInteger, nullable=False),  # the last block whose events are facts
    Column("hash", Text, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("next_number", BigInteger, nullable=False),  # what the next mint event must start with, or one was left out
    Column("redeemed", BigInteger, nullable=False),  # what the next redemption must add to, likewise
    Column("head", BigInteger, nullable=False),  # the newest block seen: it brings no facts
    Column("head_timestamp", BigInteger, nullable=False),  # no report is as of a later moment
    Column("unconfirmed", Text),  # what the second node has not said yet, if there is one: shown only
    Column("unconfirmed_since", BigInteger),
)
