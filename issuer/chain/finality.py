"""When a block counts: the one setting that decides from where on chain facts act (R-37, R-64)."""

from dataclasses import dataclass

from issuer.chain import rpc
from issuer.chain.node import Node
from issuer.chain.rpc import Block
from issuer.errors import Misconfigured


@dataclass(frozen=True, kw_only=True)
class Finality:
    depth: int | None  # blocks that must lie on a block; None: what the chain's own consensus calls finalized

    @classmethod
    def parse(cls, text: str) -> "Finality":
        """Read ``finalized`` or a number of blocks. Raises Misconfigured."""
        if text == "finalized":
            return cls(depth=None)
        if not text.isascii() or not text.isdigit() or int(text) == 0:
            raise Misconfigured(f"{text!r} is no finality", "Set it to finalized, or to a number of blocks above zero.")
        return cls(depth=int(text))

    def block(self, node: Node, head: Block) -> Block | None:
        """The newest final block, or None while there is none."""
        if self.depth is None:
            return rpc.block(node, "finalized")
        return rpc.block(node, head.number - self.depth) if head.number >= self.depth else None
