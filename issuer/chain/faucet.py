"""The local chain's faucet: gas money for the wallets with which people try things out."""

import time

from issuer.chain import fees, rpc
from issuer.chain.anvil import FAUCET_KEY
from issuer.chain.node import Node
from issuer.chain.signer import LocalSigner
from issuer.errors import Refused

_GAS_MONEY = 10**17  # wei; a transaction of a holder costs a thousandth of it
_ENOUGH = _GAS_MONEY // 10
_GAS = 21_000
_MAX_FEE = 500 * 10**9  # wei per gas
_PATIENCE = 15  # seconds for the transfer to be mined


def top_up(node: Node, address: str) -> None:
    """Send gas money to an address that has too little of it; it is there once it is mined. Raises Unreachable."""
    if rpc.balance(node, address) >= _ENOUGH:
        return
    signer = LocalSigner(FAUCET_KEY)
    offered = fees.suggest(node, _MAX_FEE)
    signed = signer.sign_transaction(
        {
            "chainId": rpc.chain_id(node),
            "nonce": rpc.nonce(node, signer.address, "pending"),
            "to": address,
            "value": _GAS_MONEY,
            "data": "0x",
            "gas": _GAS,
            "maxFeePerGas": offered.max_fee,
            "maxPriorityFeePerGas": offered.priority_fee,
        }
    )
    rpc.broadcast(node, signed.raw)


def wait_for(node: Node, address: str) -> None:
    """Return when an address can pay for gas. Raises Refused if the faucet's money does not come."""
    ends = time.monotonic() + _PATIENCE
    while rpc.balance(node, address) < _ENOUGH:
        if time.monotonic() > ends:
            raise Refused(f"{address} has no gas money, and the faucet's has not come", "Does the chain make blocks?")
        time.sleep(0.2)
