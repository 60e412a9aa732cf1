"""The issuer's own limits and accounts: what an operation may decide by itself."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Policy:
    collection_account: str
    reserve_account: str
    approval_threshold: int  # units; a mint above it needs a second person
    redemption_fee_fen: int  # as the published schedule says
    refused_jurisdictions: frozenset[str]  # ISO 3166-1 alpha-2
    batch_limit: int = 500  # orders in one mint: 4 million gas, and a record of 35 KB, of 64 that one may have
    batch_wait: int = 0  # seconds that an order waits at most for others to be minted with
    challenge_seconds: int = 24 * 3600  # a wallet's challenge lives this long
    report_refresh: int = 12 * 3600  # seconds; a report lives 24 hours on chain
