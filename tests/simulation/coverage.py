"""What must meet: each fault with states that it can harm.

A state stands beside a fault if, in code that others have shipped, the fault has lost, doubled or blocked something
in that state. The quick profile must meet every pair, or it does not test what it says. Pairs that meet in fewer than
one of thirty runs are left out: whether two hundred runs meet them is chance.
"""

SENDING = ("sent report", "sent mint")
MINTING = ("batch funding", "batch funded", "batch attested")

MUST_MEET: dict[str, tuple[str, ...]] = {
    # -- the issuer's process, its database and its clock
    "crash": (*SENDING, *MINTING, "mint instructed", "redeem instructed", "return instructed", "report requested"),
    "issuer down": (*MINTING, "mint instructed", "report requested"),
    "standby takes over": (*SENDING, *MINTING),
    "database lost": (*MINTING, "sent report", "report attested", "report requested", "mint instructed"),
    "clock jumps": (*SENDING, *MINTING, "mint instructed", "report attested"),
    "clock wrong": (*SENDING, *MINTING, "report requested"),
    # -- the chain
    "reorganisation": (*SENDING, *MINTING, "mined report", "mined mint", "mined verify", "redeem instructed"),
    "broken finality": ("order approved", "mint instructed", "batch funding"),
    "transaction dropped": (*SENDING, "sent verify", "mined report"),
    "fees risen": (*SENDING, "sent verify", "batch attested"),
    "gas money gone": ("sent report", "sent verify", "batch attested"),
    "nonce stolen": (*SENDING, "batch attested"),
    "minting key stolen": ("order approved",),
    # -- the node
    "node silent": (*SENDING, *MINTING, "fact new", "redeem instructed"),
    "node behind": (*SENDING, *MINTING, "mined report", "mined mint", "redeem instructed"),
    "node crowded": (*SENDING, "batch attested"),
    "answer garbled": (*SENDING, "batch attested"),
    "receipt missing": (*SENDING, "mined report"),
    "broadcast unanswered": (*SENDING, "sent verify"),
    "transaction forgotten": SENDING,
    # -- the bank folder
    "file late": (*MINTING, "mint instructed", "redeem instructed", "return instructed", "report requested"),
    "file cut short": ("batch funding", "mint instructed", "report requested"),
    "folder silent": ("mint instructed", "return instructed", "batch funding", "report requested"),
    "notice repeated": (*MINTING, "mint instructed", "redeem instructed", "return instructed", "redemption held"),
    # -- the bank
    "bank crash": ("mint instructed", "batch funding", "report requested"),
    "wrong name": ("order approved", "batch funding"),
    "unknown sender": ("order approved", "return instructed"),
    "wire recalled": (*MINTING, "order approved", "return instructed", "mint instructed"),
    "payout returned": (*MINTING, "report requested", "mint instructed"),
    "account closed": ("redeem instructed", "return instructed", "order approved"),
    "reserve debited": (*MINTING, "report requested", "mint instructed"),
}
