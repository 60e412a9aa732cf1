"""The contract ABI: human-readable declarations, and bytes to values and back.

Values: integers are ``int``, addresses EIP-55 text, fixed and dynamic bytes lower-case 0x-hex text, tuples ``dict`` by
name, arrays ``list``. Source: Solidity documentation, Contract ABI Specification; EIP-55.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak as _keccak

from issuer.errors import InvalidInput, MalformedDocument

ZERO_ADDRESS = "0x0000000000000000000000000000000000000000"
ZERO_HASH = "0x" + "00" * 32

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@lru_cache(maxsize=65536)
def checksum(text: str) -> str:
    """An address in any case as EIP-55 text. Raises InvalidInput for anything that is no address."""
    if not _ADDRESS.fullmatch(text):
        raise InvalidInput(f"{text!r} is not an address", "An address is 0x and 40 hexadecimal digits.")
    return str(to_checksum_address(text))


def parse_address(text: str) -> str:
    """An address written by a person, as EIP-55 text.

    Mixed case must be the right checksum; one case only carries none and is taken. Raises InvalidInput.
    """
    address = checksum(text)
    if text != address and text[2:] not in (text[2:].lower(), text[2:].upper()):
        raise InvalidInput(f"{text} has a wrong checksum", "Copy the address again; one of its characters is wrong.")
    return address


def keccak(data: bytes) -> str:
    """Keccak-256 as 0x-hex text."""
    return "0x" + bytes(_keccak(data)).hex()


@dataclass(frozen=True)
class Parameter:
    type: str  # canonical, such as "uint64", "bytes32[]" or "(address,uint256)"
    name: str
    indexed: bool = False
    components: tuple["Parameter", ...] = ()  # of a tuple

    @property
    def is_word(self) -> bool:
        """Whether the value is one 32-byte word, so that slicing decodes it."""
        return not self.components and "[" not in self.type and self.type not in ("bytes", "string")


@dataclass(frozen=True)
class Item:
    """A function, an event or an error, with its parameters; ``Item.parse("stop(uint8 stops)")``."""

    name: str
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...] = ()

    @classmethod
    def parse(cls, declaration: str) -> "Item":
        """Read ``name(type [indexed] name, ...) [returns (type name, ...)]``."""
        head, _, returned = declaration.partition(" returns ")
        name, _, rest = head.partition("(")
        return cls(name, _parameters(rest[:-1]), _parameters(returned[1:-1]))

    @cached_property
    def signature(self) -> str:
        """Name and types, as hashed: ``stop(uint8)``."""
        return f"{self.name}({','.join(item.type for item in self.inputs)})"

    @cached_property
    def topic(self) -> str:
        """The first topic of an event's logs."""
        return keccak(self.signature.encode())

    @cached_property
    def selector(self) -> str:
        """The first four bytes of a call or of an error's data, 0x-hex."""
        return self.topic[:10]

    def encode(self, *values: Any) -> str:
        """Calldata with these arguments, 0x-hex. Raises InvalidInput if a value does not fit its type."""
        return self.selector + encode_values(self.inputs, values).hex()

    def decode(self, data: str) -> dict[str, Any]:
        """The arguments of calldata or of an error by name. Raises MalformedDocument if it is another item's data."""
        if data[:10].lower() != self.selector:
            raise MalformedDocument(f"the data is not a call of {self.signature}")
        return decode_values(self.inputs, bytes.fromhex(data[10:]))

    def decode_output(self, data: str) -> dict[str, Any]:
        """The returned values by name; an unnamed one is called by its place."""
        return decode_values(self.outputs, bytes.fromhex(data[2:]))

    def decode_log(self, topics: Sequence[str], data: str) -> dict[str, Any]:
        """An event's arguments by name, in the order of its declaration. Raises MalformedDocument."""
        if len(topics) != 1 + len(self._indexed) or topics[0] != self.topic:
            raise MalformedDocument(f"the log is not a {self.signature}")
        words = {item.name: _word(item.type, bytes.fromhex(topic[2:])) for item, topic in self._topics(topics)}
        words |= decode_values(self._plain, bytes.fromhex(data[2:]))
        return {item.name: words[item.name] for item in self.inputs}

    @cached_property
    def _indexed(self) -> tuple[Parameter, ...]:
        return tuple(item for item in self.inputs if item.indexed)

    @cached_property
    def _plain(self) -> tuple[Parameter, ...]:
        return tuple(item for item in self.inputs if not item.indexed)

    def _topics(self, topics: Sequence[str]) -> Iterator[tuple[Parameter, str]]:
        return zip(self._indexed, topics[1:], strict=True)


def encode_values(parameters: Sequence[Parameter], values: Sequence[Any]) -> bytes:
    """ABI-encode values. Raises InvalidInput if one does not fit its type."""
    try:
        native = [_native(item, value) for item, value in zip(parameters, values, strict=True)]
        return bytes(abi_encode([item.type for item in parameters], native))
    except (EncodingError, ValueError, KeyError) as error:
        raise InvalidInput(f"the arguments do not fit ({', '.join(p.type for p in parameters)}): {error}") from error


def decode_values(parameters: Sequence[Parameter], data: bytes) -> dict[str, Any]:
    """ABI-decode values by name. Raises MalformedDocument if the data is short or wrong."""
    names = [item.name or str(place) for place, item in enumerate(parameters)]
    if all(item.is_word for item in parameters):
        if len(data) != 32 * len(parameters):
            raise MalformedDocument(f"{len(data)} bytes are not {len(parameters)} words")
        words = (_word(item.type, data[32 * i : 32 * i + 32]) for i, item in enumerate(parameters))
        return dict(zip(names, words, strict=True))
    try:
        values = abi_decode([item.type for item in parameters], data)
    except (DecodingError, OverflowError) as error:
        raise MalformedDocument(f"the data does not decode: {error}") from error
    return {name: _plain(item, value) for name, item, value in zip(names, parameters, values, strict=True)}


def _parameters(text: str) -> tuple[Parameter, ...]:
    return tuple(_parameter(part.strip()) for part in _split(text)) if text else ()


def _split(text: str) -> Iterator[str]:
    """Split at the commas that stand outside parentheses."""
    depth = start = 0
    for place, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def _parameter(text: str) -> Parameter:
    if not text.startswith("("):
        words = text.split()
        return Parameter(words[0], words[-1] if len(words) > 1 else "", "indexed" in words[1:-1])
    inner, _, rest = text[1:].rpartition(")")
    array, _, name = rest.rpartition(" ")
    components = _parameters(inner)
    return Parameter(f"({','.join(item.type for item in components)}){array}", name, False, components)


def _native(item: Parameter, value: Any) -> Any:
    """A value as eth_abi wants it: bytes for hex text, a tuple for a dict."""
    if item.type.endswith("]"):
        return [_native(_element(item), one) for one in value]
    if item.components:
        return tuple(_native(part, value[part.name]) for part in item.components)
    if item.type.startswith("bytes"):
        return _raw(item.type, bytes.fromhex(value.removeprefix("0x")))
    return value


def _raw(type_: str, raw: bytes) -> bytes:
    # eth_abi would fill a short one up with zeros.
    if type_ != "bytes" and len(raw) != int(type_[5:]):
        raise ValueError(f"{len(raw)} bytes are not a {type_}")
    return raw


def _plain(item: Parameter, value: Any) -> Any:
    """A value from eth_abi as the issuer writes it."""
    if item.type.endswith("]"):
        return [_plain(_element(item), one) for one in value]
    if item.components:
        return {part.name: _plain(part, one) for part, one in zip(item.components, value, strict=True)}
    if item.type.startswith("bytes"):
        return "0x" + value.hex()
    return checksum(value) if item.type == "address" else value


def _element(item: Parameter) -> Parameter:
    return Parameter(item.type[: item.type.rindex("[")], item.name, components=item.components)


def _word(type_: str, word: bytes) -> Any:
    """One value from its 32-byte word. Raises MalformedDocument if bits are set that the type does not have."""
    number = int.from_bytes(word, "big")
    if type_ == "address":
        _fit(number, 160, type_)
        return checksum("0x" + word[12:].hex())
    if type_ == "bool":
        _fit(number, 1, type_)
        return bool(number)
    if type_.startswith("bytes"):
        size = int(type_[5:])
        _fit(int.from_bytes(word[size:], "big"), 0, type_)
        return "0x" + word[:size].hex()
    if type_.startswith("uint"):
        _fit(number, int(type_[4:]), type_)
        return number
    return _signed(number, int(type_[3:]))


def _signed(number: int, bits: int) -> int:
    value = number - 2**256 if number >> 255 else number
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise MalformedDocument(f"a word does not hold an int{bits}")
    return value


def _fit(number: int, bits: int, type_: str) -> None:
    if number >> bits:
        raise MalformedDocument(f"a word does not hold a {type_}")
