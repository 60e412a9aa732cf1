"""The few things that are asked of the issuer's database after every step, as plain SQL on a connection of their own.

What is not committed is not seen here, so what is found is what would be there after a crash.
"""

import sqlite3
from pathlib import Path
from typing import Any

_STATES = """
    SELECT 'order ' || state FROM mint_order WHERE state IN ('requested', 'approved', 'reserved', 'failed')
    UNION SELECT 'batch ' || state FROM batch WHERE state IN ('funding', 'funded', 'attested')
    UNION SELECT lower(kind) || ' ' || state FROM payout WHERE state IN ('instructed', 'accepted', 'arrived')
    UNION SELECT 'redemption ' || state FROM redemption WHERE state <> 'paid'
    UNION SELECT 'report ' || state FROM report WHERE state IN ('requested', 'attested')
    UNION SELECT CASE WHEN mined_block IS NULL THEN 'sent ' ELSE 'mined ' END || kind
        FROM "transaction" JOIN intent ON intent.id = intent_id WHERE "transaction".state = 'signed'
    UNION SELECT 'intent open' FROM intent WHERE state = 'open'
    UNION SELECT 'fact new' FROM fact WHERE state = 'new'
"""

_WAITING = """
    SELECT 'fact ' || kind || ' ' || key FROM fact WHERE state = 'new'
    UNION ALL SELECT 'intent ' || kind || ' of ' || subject FROM intent WHERE state IN ('open', 'bound')
    UNION ALL SELECT 'transaction ' || id FROM "transaction" WHERE state = 'signed'
    UNION ALL SELECT 'key ' || role || ': ' || halted FROM signer WHERE halted IS NOT NULL
    UNION ALL SELECT 'deposit ' || reference || ' ' || state FROM deposit
        WHERE state NOT IN ('credited', 'returned') AND sender_account <> '' AND sender_name <> ''
    UNION ALL SELECT 'order ' || commitment || ' ' || state FROM mint_order
        WHERE state IN ('reserved', 'batched', 'failed')
    UNION ALL SELECT 'batch ' || reference || ' ' || state FROM batch WHERE state NOT IN ('final', 'dissolved')
    UNION ALL SELECT 'redemption ' || id || ' ' || state || COALESCE(': ' || reason, '') FROM redemption
        WHERE state <> 'paid' AND value / 10000 > ?
    UNION ALL SELECT 'payout ' || message_id || ' ' || state FROM payout
        WHERE state IN ('instructed', 'accepted', 'arrived')
    UNION ALL SELECT 'report ' || number || ' ' || state FROM report WHERE state IN ('requested', 'attested')
    UNION ALL SELECT 'recovery, ' || cause || ': ' || waits FROM recovery
    UNION ALL SELECT 'act ' || act_id || ' ' || state FROM proposal WHERE state = 'accepting'
"""


class Records:
    """An SQLite database of the issuer, read beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = 0
        self.open()

    def open(self) -> None:
        """Look at the database that is there now."""
        self._database = sqlite3.connect(self._path, isolation_level=None)
        self._opened += 1

    def close(self) -> None:
        self._database.close()

    def version(self) -> tuple[int, int | None]:
        """Another one after each commit of somebody else."""
        return self._opened, self._number("PRAGMA data_version")

    def behind(self) -> bool:
        """Whether what was decided before a restore is not all known again, so that nobody is served."""
        return bool(self.rows("SELECT 1 FROM unapplied LIMIT 1"))

    def recovering(self) -> bool:
        return bool(self.rows("SELECT 1 FROM recovery"))

    def place_of_payment(self, message_id: str) -> int | None:
        """Where in the log the record lies that a payment waits for; None without a place."""
        return self._number(
            """
            SELECT place FROM payout JOIN intent ON intent.door = 'bank' AND intent.kind = 'payment'
                AND json_extract(intent.payload, '$.payout_id') = payout.id
            JOIN audit_record ON audit_record.id = intent.record_id WHERE message_id = ?
            """,
            message_id,
        )

    def place_of_transaction(self, hash_: str) -> int | None:
        """The same of a signed transaction; None also if it is not stored."""
        return self._number(
            """
            SELECT place FROM attempt JOIN "transaction" ON "transaction".id = transaction_id
            JOIN intent ON intent.id = intent_id JOIN audit_record ON audit_record.id = record_id WHERE hash = ?
            """,
            hash_,
        )

    def nonces_of_intent(self, hash_: str) -> list[int]:
        """Every nonce at which the intent of a signed transaction was ever signed."""
        query = """
            SELECT other.nonce FROM attempt JOIN "transaction" AS own ON own.id = attempt.transaction_id
            JOIN "transaction" AS other ON other.intent_id = own.intent_id WHERE attempt.hash = ?
        """
        return [row[0] for row in self.rows(query, hash_)]

    def next_record(self) -> int:
        """The number that the next audit record gets."""
        return self._number("SELECT COALESCE(MAX(id), 0) + 1 FROM audit_record") or 0

    def sum_of_postings(self) -> int:
        return self._number("SELECT COALESCE(SUM(amount), 0) FROM posting") or 0

    def deposits(self) -> list[tuple[str, int]]:
        """The bank's reference and the amount of each deposit."""
        return self._database.execute("SELECT reference, amount_fen FROM deposit").fetchall()

    def final_block(self) -> int:
        """The last block that the issuer has acted on."""
        return self._number("SELECT number FROM cursor") or 0

    def locks(self) -> list[tuple[int, str, str]]:
        """Id, scope and code of each lock in force."""
        return self._database.execute("SELECT id, scope, code FROM lock WHERE cleared_at IS NULL").fetchall()

    def states(self) -> list[str]:
        """The states in which something is now: what a fault meets."""
        return sorted(row[0] for row in self._database.execute(_STATES))

    def waiting(self, fee: int) -> list[str]:
        """What is on its way, though nobody is asked for anything; redemptions up to the fee (in fen) stay held."""
        return [row[0] for row in self._database.execute(_WAITING, (fee,))]

    def rows(self, query: str, *values: Any) -> list[Any]:
        return self._database.execute(query, values).fetchall()

    def _number(self, query: str, *values: Any) -> int | None:
        row = self._database.execute(query, values).fetchone()
        return None if row is None else row[0]
