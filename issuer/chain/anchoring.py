"""The proof that a block holds a report: from the block's hash over its header and its receipts to the event.

Whoever knows the hash of the block needs nothing else to check it. Every part is rebuilt here from what the node tells
and compared with the hash it must have, so that a node that leaves something out is found out before a proof leaves.
"""

from collections.abc import Mapping
from typing import Any

import rlp  # type: ignore[import-untyped]

from issuer.chain.deployment import Deployment
from issuer.chain.node import Node
from issuer.errors import Unreachable
from issuer.messages import trie
from issuer.messages.abi import checksum, keccak
from issuer.messages.contracts import FEED

_HEADER = (
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
)
"""The fields of a header in the order of its RLP; forks added the last ones (EIP-1559, 4895, 4844, 4788, 7685)."""

_NUMBERS = frozenset(
    ("difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed", "excessBlobGas")
)


def prove(node: Node, speaking: Deployment, transaction: str) -> tuple[str, dict[str, Any]]:
    """The feed that a transaction posted a report to, and the anchor part of a receipt for it. Raises Unreachable.

    The feed is the token's, or one that it had before.
    """
    told = node.call("eth_getTransactionReceipt", [transaction])
    if told is None or told.get("blockHash") is None:
        raise Unreachable(f"the node does not have the transaction {transaction}")
    header = node.call("eth_getBlockByHash", [told["blockHash"], False])
    receipts = node.call("eth_getBlockReceipts", [told["blockHash"]])
    encoded = rlp.encode([_field(name, header[name]) for name in _HEADER if name in header])
    values = [_receipt(item) for item in receipts]
    if keccak(encoded) != header["hash"] or trie.root(values) != header["receiptsRoot"]:
        raise Unreachable("the node's block does not have the hash that its parts give", "Ask another node.")
    index = int(told["transactionIndex"], 16)
    feed, log_index = _report_of(told, speaking)
    return feed, {
        "block": int(header["number"], 16),
        "block_hash": header["hash"],
        "transaction": transaction,
        "transaction_index": index,
        "log_index": log_index,
        "header": "0x" + encoded.hex(),
        "proof": ["0x" + part.hex() for part in trie.path(values, index)],
    }


def _field(name: str, value: str) -> bytes:
    return _number(value) if name in _NUMBERS else _raw(value)


def _raw(value: str) -> bytes:
    return bytes.fromhex(value[2:])


def _number(value: str) -> bytes:
    number = int(value, 16)
    return number.to_bytes((number.bit_length() + 7) // 8)


def _receipt(told: Mapping[str, Any]) -> bytes:
    """A receipt as it stands in the trie: after its type, if it has one (EIP-2718)."""
    kind = int(told["type"], 16)
    logs = [[_raw(log["address"]), [_raw(topic) for topic in log["topics"]], _raw(log["data"])] for log in told["logs"]]
    fields = [_number(told["status"]), _number(told["cumulativeGasUsed"]), _raw(told["logsBloom"]), logs]
    encoded: bytes = rlp.encode(fields)
    return bytes([kind]) + encoded if kind else encoded


def _report_of(told: Mapping[str, Any], speaking: Deployment) -> tuple[str, int]:
    """The feed, and which of the transaction's events is its report."""
    for at, log in enumerate(told["logs"]):
        item = FEED.events.get(log["topics"][0]) if log["topics"] else None
        address = checksum(log["address"])
        if item is not None and item.name == "ReportPosted" and speaking.name(address) == "feed":
            return address, at
    raise Unreachable(f"the transaction {told['transactionHash']} posts no report")
