"""Which chains this software may touch: testnets by name, everything else is refused."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from issuer.chain import rpc
from issuer.chain.node import Node
from issuer.errors import Misconfigured

LOCAL = {31337: "Anvil", 1337: "local"}
PUBLIC_TESTNETS = {
    11155111: "Sepolia",
    17000: "Holesky",
    560048: "Hoodi",
    84532: "Base Sepolia",
    421614: "Arbitrum Sepolia",
    11155420: "OP Sepolia",
    80002: "Polygon Amoy",
}
"""Chain ids from the networks' own documentation, as collected at chainid.network."""


_LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))


@dataclass(frozen=True, kw_only=True)
class Network:
    """One chain, named by its genesis: two chains may share an id, never a genesis block."""

    chain_id: int
    genesis: str  # hash of block 0
    name: str

    @property
    def is_local(self) -> bool:
        return self.chain_id in LOCAL


def is_loopback(url: str) -> bool:
    """Whether an RPC address is one of this machine."""
    return urlsplit(url).hostname in _LOOPBACK


def identify(node: Node) -> Network:
    """Ask a node which chain it serves. Raises Misconfigured for any chain that is not a known testnet."""
    chain_id = rpc.chain_id(node)
    name = LOCAL.get(chain_id) or PUBLIC_TESTNETS.get(chain_id)
    if name is None:
        raise Misconfigured(
            f"chain {chain_id} is not a testnet known to this sandbox",
            "Use a local Anvil, or set RPC_URL to a node of " + ", ".join(PUBLIC_TESTNETS.values()) + ".",
        )
    genesis = rpc.block(node, 0)
    if genesis is None:
        raise Misconfigured("the node does not know its genesis block", "Use a node that keeps the chain's headers.")
    return Network(chain_id=chain_id, genesis=genesis.hash, name=name)


def require(node: Node, *, chain_id: int, genesis: str) -> Network:
    """Raise Misconfigured unless the node serves exactly the chain that a home is bound to."""
    found = identify(node)
    if (found.chain_id, found.genesis) != (chain_id, genesis):
        raise Misconfigured(
            f"the RPC address serves chain {found.chain_id} with genesis {found.genesis}, "
            f"this home belongs to chain {chain_id} with genesis {genesis}",
            "Set RPC_URL to a node of this home's chain, or start another home for the other chain.",
        )
    return found
