"""The states of everything that moves, each with the transition that leads out of it.

Two parts of the house may read the same row (an operation decides, a door acts), so the words are here, below both.
"""

from enum import StrEnum


class WalletState(StrEnum):
    CHALLENGED = "challenged"  # a challenge waits for its signature -> registered
    REGISTERED = "registered"  # control is proven, the chain is told -> verified
    VERIFIED = "verified"  # the verified bit is final on chain


class DepositState(StrEnum):
    CREDITED = "credited"  # the money is the customer's -> returning | returned
    SUSPENSE = "suspense"  # nobody's: no registered account matches -> returning | returned
    HELD = "held"  # nobody's, and not sent back by itself: that was in vain, or may be -> returning | returned
    RETURNING = "returning"  # a REFUND or RETURN payout carries it -> returned | credited | held
    RETURNED = "returned"  # by a payout, or taken back by the bank


class OrderState(StrEnum):
    REQUESTED = "requested"  # waits for a second person -> approved | rejected | cancelled
    APPROVED = "approved"  # waits for a verified wallet and for money -> reserved | cancelled
    RESERVED = "reserved"  # the customer's money is in flight, no batch yet -> batched | cancelled
    BATCHED = "batched"  # its batch says how far it is -> final | failed | cancelled
    FINAL = "final"  # a final mint event carries it
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    FAILED = "failed"  # a final fault of the recipient; its money leaves the reserve -> refunded
    REFUNDED = "refunded"  # its money is the customer's again


class BatchState(StrEnum):
    FUNDING = "funding"  # a MINT payout moves its sum to the reserve -> funded | dissolved
    FUNDED = "funded"  # the bank has booked it -> attested
    ATTESTED = "attested"  # a signed report includes it; the mint may be sent -> final | dissolved
    FINAL = "final"
    DISSOLVED = "dissolved"  # its last order failed, or was withdrawn


class RedemptionState(StrEnum):
    PAYABLE = "payable"  # the burn is final -> instructed | held
    HELD = "held"  # no account to pay to, or a named reason -> payable
    INSTRUCTED = "instructed"  # a payout carries it -> paid | held
    RETURNED = "returned"  # the money came back -> instructed, to a corrected account
    PAID = "paid"  # -> returned, if the bank sends the money back


class PayoutKind(StrEnum):
    MINT = "MINT"  # collection to reserve: a batch's sum; raises credited
    UNFUND = "UNFUND"  # reserve to collection: a failed order's sum; lowers credited
    REDEEM = "REDEEM"  # reserve to the customer: par less fee; raises paid
    REFUND = "REFUND"  # collection to the customer: money not yet minted
    RETURN = "RETURN"  # collection to the sender: money that is nobody's


class PayoutState(StrEnum):
    INSTRUCTED = "instructed"  # its intent is written; the file follows, once -> accepted | arrived | paid | rejected
    ACCEPTED = "accepted"  # the bank took it -> arrived | paid | rejected
    ARRIVED = "arrived"  # between our accounts: booked where it goes, not yet where it leaves -> paid
    PAID = "paid"  # all of it is booked -> returned
    REJECTED = "rejected"  # the bank refused it and moved nothing, or took back what it had -> paid, if it books it
    RETURNED = "returned"  # booked back on the account it left from


class ReportState(StrEnum):
    REQUESTED = "requested"  # bank and auditor are asked -> attested | refused | final
    ATTESTED = "attested"  # signed by the quorum; the sender may post it -> final
    FINAL = "final"  # the feed holds it, finally
    REFUSED = "refused"


class ProposalState(StrEnum):
    ORDERED = "ordered"  # the proposing transaction is ordered -> proposed | refused
    REFUSED = "refused"  # the contract would not take the proposal, or its transaction came to nothing
    PROPOSED = "proposed"  # the contract's delay runs -> accepting | cancelled
    ACCEPTING = "accepting"  # the accepting transaction is ordered -> accepted | cancelled | proposed | failed
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"
    FAILED = "failed"  # the contract would not do it any more: what it was to undo has changed


class IntentState(StrEnum):
    OPEN = "open"  # waits for its place in the log, then for its door -> bound
    BOUND = "bound"  # a stored transaction or document carries it, or its refusal is told -> done | void
    DONE = "done"
    VOID = "void"  # given up before anything left


class FactState(StrEnum):
    NEW = "new"  # brought in by a door -> applied
    APPLIED = "applied"


class TransactionState(StrEnum):
    SIGNED = "signed"  # its bytes are stored; sent, and sent again until its nonce is final -> final
    FINAL = "final"


class TooLarge(StrEnum):
    """Why the sender signs no call that a smaller one could do instead; all other refusals are the contract's own."""

    GAS = "TooMuchGas"  # it would take too large a part of a block
    CAPACITY = "OverCapacity"  # a mint above what a minting limit holds when full: unlike OverLimit, time does not help


class Outcome(StrEnum):
    DONE = "done"  # our bytes are in a final block and succeeded
    REVERTED = "reverted"  # our bytes are in a final block and failed
    CANCELLED = "cancelled"  # the operator's self-transfer took the nonce
    FOREIGN = "foreign"  # bytes that are not ours took the nonce


class Door(StrEnum):
    CHAIN = "chain"
    BANK = "bank"


class Scope(StrEnum):
    """What a lock stops."""

    MINTING = "minting"
    PAYOUTS = "payouts"
