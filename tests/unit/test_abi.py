"""ABI calls, events and errors: bytes to values and back."""

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import InvalidInput, MalformedDocument
from issuer.messages import contracts
from issuer.messages.abi import Item, checksum, keccak, parse_address

ALICE = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
"""An example of EIP-55."""

addresses = st.binary(min_size=20, max_size=20).map(lambda raw: checksum("0x" + raw.hex()))
hashes = st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex())
values = st.integers(1, 2**96 - 1)


def words(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1)


def test_the_selector_of_transfer_is_the_published_one() -> None:
    assert contracts.TOKEN.functions["transfer"].selector == "0xa9059cbb"


def test_the_topic_of_transfer_is_the_published_one() -> None:
    topic = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    assert contracts.TOKEN.events[topic].name == "Transfer"


def test_nothing_hashes_to_the_published_value() -> None:
    assert keccak(b"") == "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@given(st.binary(min_size=20, max_size=20))
def test_a_checksum_is_the_one_that_other_programs_make(raw: bytes) -> None:
    assert checksum("0x" + raw.hex()) == checksum("0x" + raw.hex().upper()) == to_checksum_address(raw)


@pytest.mark.parametrize("text", [ALICE, ALICE.lower(), "0x" + ALICE[2:].upper()])
def test_an_address_without_or_with_its_checksum_is_taken(text: str) -> None:
    assert parse_address(text) == ALICE


@pytest.mark.parametrize("text", ["", "0x", ALICE[:-1], ALICE + "0", ALICE.swapcase().replace("0X", "0x"), ALICE[2:]])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_address(text)


@given(words(64), hashes, st.lists(st.tuples(addresses, values), min_size=1, max_size=5))
def test_a_mint_reads_back(first: int, reference: str, orders: list[tuple[str, int]]) -> None:
    name, arguments = contracts.MINTER.decode_call(contracts.mint_call(first, reference, orders))
    assert name == "mint"
    assert (arguments["first"], arguments["batchRoot"]) == (first, reference)
    assert [contracts.unpack_order(word) for word in arguments["orders"]] == orders


@given(addresses, words(64), words(256), words(64), hashes, st.lists(st.binary(max_size=70), max_size=3))
def test_a_report_reads_back(
    token: str, number: int, amount: int, as_of: int, root: str, signatures: list[bytes]
) -> None:
    report = {"token": token, "number": number, "reserve": amount, "paid": 0, "credited": amount}
    report |= {"asOf": as_of, "logRoot": root, "logSize": number}
    signed = ["0x" + raw.hex() for raw in signatures]
    name, arguments = contracts.FEED.decode_call(contracts.post_call(report, signed))
    assert (name, arguments) == ("post", {"report": report, "signatures": signed})


@given(addresses, words(256), words(256), hashes)
def test_an_event_reads_back_in_the_order_of_its_declaration(account: str, id_: int, value: int, ref: str) -> None:
    event = next(item for item in contracts.TOKEN.events.values() if item.name == "Redeemed")
    topics = [event.topic, "0x" + encode(["address"], [account]).hex(), f"0x{id_:064x}", ref]
    found = event.decode_log(topics, f"0x{value:064x}")
    assert list(found.items()) == [("account", account), ("id", id_), ("value", value), ("instruction", ref)]


@given(st.sampled_from(sorted(contracts.ERRORS)), st.data())
def test_every_error_reads_back(selector: str, data: st.DataObject) -> None:
    item = contracts.ERRORS[selector]
    arguments = [data.draw(_value(parameter.type)) for parameter in item.inputs]
    assert contracts.decode_error(item.encode(*arguments)) == (item.name, _named(item, arguments))


def test_an_unknown_error_keeps_its_bytes() -> None:
    assert contracts.decode_error("0xdeadbeef") == ("unknown", {"data": "0xdeadbeef"})


def test_an_empty_revert_is_unknown() -> None:
    assert contracts.decode_error("0x") == ("unknown", {"data": "0x"})


@pytest.mark.parametrize(
    ("type_", "word"),
    [("address", 1 << 160), ("bool", 2), ("uint64", 1 << 64), ("bytes4", 1), ("int8", 128), ("uint8", 256)],
)
def test_a_word_with_bits_its_type_does_not_have_is_malformed(type_: str, word: int) -> None:
    with pytest.raises(MalformedDocument):
        Item.parse(f"f() returns ({type_} x)").decode_output(f"0x{word:064x}")


@pytest.mark.parametrize("data", ["0x", "0x00", "0x" + "00" * 33, "0x" + "00" * 64])
def test_output_of_another_length_is_malformed(data: str) -> None:
    with pytest.raises(MalformedDocument):
        contracts.TOKEN.output("totalSupply", data)


def test_a_log_of_another_event_is_malformed() -> None:
    event = next(iter(contracts.TOKEN.events.values()))
    with pytest.raises(MalformedDocument):
        event.decode_log([event.topic], "0x")


def test_a_call_of_a_function_we_do_not_use_is_refused() -> None:
    with pytest.raises(InvalidInput):
        contracts.TOKEN.decode_call("0xdeadbeef")


@pytest.mark.parametrize("value", [-1, 2**8])
def test_an_argument_that_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(InvalidInput):
        contracts.TOKEN.call("stop", value)


@pytest.mark.parametrize("value", [0, -1, 2**96])
def test_an_order_without_a_value_or_too_large_is_refused(value: int) -> None:
    with pytest.raises(InvalidInput):
        contracts.pack_order(ALICE, value)


def _value(type_: str) -> st.SearchStrategy[Any]:
    if type_ == "address":
        return addresses
    if type_ == "string":
        return st.text(max_size=40)
    if type_.startswith("bytes"):
        return st.binary(min_size=int(type_[5:]), max_size=int(type_[5:])).map(lambda raw: "0x" + raw.hex())
    return words(int(type_.removeprefix("uint")))


def _named(item: Item, arguments: list[Any]) -> dict[str, Any]:
    return dict(zip((parameter.name for parameter in item.inputs), arguments, strict=True))


def test_an_error_of_ours_that_does_not_decode_is_an_unknown_one() -> None:
    """Another contract on the way, such as a hook, may revert with any bytes."""
    data = contracts.decode_error("0xe450d38c" + "00")
    assert data == ("unknown", {"data": "0xe450d38c00"})


def test_a_string_that_is_no_text_is_read_as_far_as_it_is() -> None:
    """A contract takes any bytes for a string."""
    data = contracts.AUTHORITY.functions["labelRole"].selector + encode(["uint64", "bytes"], [3, b"a\xffb"]).hex()
    assert contracts.AUTHORITY.decode_call(data) == ("labelRole", {"roleId": 3, "label": "a\N{REPLACEMENT CHARACTER}b"})
