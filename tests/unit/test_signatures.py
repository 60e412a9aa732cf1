"""Who signed: our recovery against eth-account's signatures."""

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from hypothesis import given, settings
from hypothesis import strategies as st

from issuer.messages.signatures import personal_digest, recover

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

keys = st.integers(1, ORDER - 1).map(lambda number: Account.from_key(number.to_bytes(32, "big")))


@given(keys, st.text(max_size=200))
@settings(max_examples=30, deadline=None)
def test_a_wallet_signature_names_its_wallet(account: LocalAccount, text: str) -> None:
    signed = account.sign_message(encode_defunct(text=text))
    assert recover(personal_digest(text), signed.signature.to_0x_hex()) == account.address


@given(keys, st.text(max_size=50), st.text(max_size=50))
@settings(max_examples=30, deadline=None)
def test_a_signature_over_another_text_names_somebody_else(account: LocalAccount, text: str, other: str) -> None:
    signed = account.sign_message(encode_defunct(text=text))
    found = recover(personal_digest(other), signed.signature.to_0x_hex())
    assert (found == account.address) == (text == other)


@given(keys)
@settings(max_examples=10, deadline=None)
def test_the_malleable_twin_is_no_signature(account: LocalAccount) -> None:
    signed = account.sign_message(encode_defunct(text="x"))
    twin = signed.r.to_bytes(32, "big") + (ORDER - signed.s).to_bytes(32, "big") + bytes([55 - signed.v])
    assert recover(personal_digest("x"), "0x" + twin.hex()) is None


@given(st.binary(max_size=70))
def test_any_bytes_are_answered(raw: bytes) -> None:
    recover(personal_digest("x"), "0x" + raw.hex())


def test_text_that_is_no_hex_is_no_signature() -> None:
    assert recover(personal_digest("x"), "signature") is None
