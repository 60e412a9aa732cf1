"""Signed transactions read back, against eth-account's signing."""

from typing import Any

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from issuer.chain.signer import LocalSigner
from issuer.errors import MalformedDocument
from issuer.messages.abi import checksum
from issuer.messages.transactions import decode

KEY = bytes.fromhex("11" * 32)


@given(
    st.integers(1, 2**40),
    st.integers(0, 2**40),
    st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)).map(sorted),
    st.integers(21000, 2**30),
    st.binary(min_size=20, max_size=20),
    st.integers(0, 2**90),
    st.binary(max_size=200),
)
@settings(max_examples=60, deadline=None)
def test_what_was_signed_reads_back(
    chain_id: int, nonce: int, fees: list[int], gas: int, to: bytes, value: int, data: bytes
) -> None:
    signer = LocalSigner(KEY)
    fields: dict[str, Any] = {
        "chainId": chain_id,
        "nonce": nonce,
        "maxPriorityFeePerGas": fees[0],
        "maxFeePerGas": fees[1],
    }
    fields |= {"gas": gas, "to": checksum("0x" + to.hex()), "value": value, "data": "0x" + data.hex()}
    signed = signer.sign_transaction(fields)
    found = decode(signed.raw)
    assert (found.chain_id, found.nonce, found.priority_fee, found.max_fee) == (chain_id, nonce, *fees)
    assert (found.gas, found.target, found.value, found.data) == (gas, fields["to"], value, fields["data"])
    assert (found.sender, found.hash) == (signer.address, signed.hash)


@given(st.binary(max_size=200))
def test_other_bytes_are_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedDocument):
        decode("0x02" + raw.hex())


def test_a_legacy_transaction_is_malformed() -> None:
    fields = {"chainId": 1, "nonce": 0, "gasPrice": 1, "gas": 21000, "to": "0x" + "11" * 20, "value": 0}
    with pytest.raises(MalformedDocument):
        decode("0x" + Account.sign_transaction(fields, KEY).raw_transaction.hex())


def test_a_changed_byte_changes_the_sender_or_is_malformed() -> None:
    signer = LocalSigner(KEY)
    fields = {"chainId": 1, "nonce": 5, "maxPriorityFeePerGas": 1, "maxFeePerGas": 2, "gas": 21000}
    raw = signer.sign_transaction(fields | {"to": signer.address, "value": 7, "data": "0x"}).raw
    changed = raw.replace(signer.address[2:].lower(), "22" * 20)
    assert changed != raw
    assert decode(changed).sender != signer.address
