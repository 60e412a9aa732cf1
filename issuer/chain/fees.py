"""What a transaction offers per gas (EIP-1559), in wei, and how much more when it waits too long."""

from dataclasses import dataclass

from issuer.chain import rpc
from issuer.chain.node import Node

# A node takes a replacement only if both fees rise by its minimum: 10% for most, so an eighth passes everywhere.
_BUMP = (9, 8)


@dataclass(frozen=True, kw_only=True)
class Fees:
    max_fee: int
    priority_fee: int

    def bumped(self, current: "Fees") -> "Fees":
        """Fees that replace these, and are not below what a new transaction would offer."""
        return Fees(
            max_fee=max(_raise(self.max_fee), current.max_fee),
            priority_fee=max(_raise(self.priority_fee), current.priority_fee),
        )


def suggest(node: Node, cap: int) -> Fees:
    """Fees for now, never above the cap: the node's tip, and room for six full blocks of rising base fees."""
    priority_fee = max(1, rpc.priority_fee(node))
    max_fee = min(2 * rpc.next_base_fee(node) + priority_fee, cap)
    return Fees(max_fee=max_fee, priority_fee=min(priority_fee, max_fee))


def _raise(fee: int) -> int:
    numerator, denominator = _BUMP
    return -(-fee * numerator // denominator)
