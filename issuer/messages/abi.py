"""The contract ABI: human-readable declarations, and bytes to values and back.

Values: integers are ``int``, addresses EIP-55 text, fixed and dynamic bytes lower-case 0x-hex text, tuples ``dict`` by
name, arrays ``list``. Source: Solidity documentation, Contract ABI Specification; EIP-55.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

from eth_hash.auto import keccak as _keccak

from issuer.errors import InvalidInput, MalformedDocument

ZERO_ADDRESS = "0x0000000000000000000000000000000000000000"
ZERO_HASH = "0x" + "00" * 32

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@lru_cache(maxsize=65536)
def checksum(text: str) -> str:
    """An address in any case as EIP-55 text. Raises InvalidInput for anything that is no address."""
    if not _ADDRESS.fullmatch(text):
        raise InvalidInput(f"{text!r} is not an address", "An address is 0x and 40 hexadecimal digits.")
    digits = text[2:].lower()
    hashed = _keccak(digits.encode()).hex()
    return "0x" + "".join(one.upper() if nibble > "7" else one for one, nibble in zip(digits, hashed, strict=False))


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
    return "0x" + _keccak(data).hex()


@dataclass(frozen=True)
class Parameter:
    type: str  # canonical, such as "uint64", "bytes32[]" or "(address,uint256)"
    name: str
    indexed: bool = False
    components: tuple["Parameter", ...] = ()  # of a tuple

    @cached_property
    def is_word(self) -> bool:
        """Whether the value is one 32-byte word, so that slicing decodes it."""
        return not self.components and "[" not in self.type and self.type not in ("bytes", "string")

    @cached_property
    def read(self) -> Callable[[bytes], Any]:
        """The value from its 32-byte word; raises MalformedDocument if bits are set that the type does not have."""
        return _reader(self.type)


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
        words = zip(self._indexed, topics[1:], strict=True)
        found = {item.name: item.read(bytes.fromhex(topic[2:])) for item, topic in words}
        found |= decode_values(self._plain, bytes.fromhex(data[2:]))
        return {item.name: found[item.name] for item in self.inputs}

    @cached_property
    def _indexed(self) -> tuple[Parameter, ...]:
        return tuple(item for item in self.inputs if item.indexed)

    @cached_property
    def _plain(self) -> tuple[Parameter, ...]:
        return tuple(item for item in self.inputs if not item.indexed)


def encode_values(parameters: Sequence[Parameter], values: Sequence[Any]) -> bytes:
    """ABI-encode values. Raises InvalidInput if one does not fit its type."""
    # Here and below: a command that neither asks the chain nor sends does not wait for the import.
    from eth_abi.abi import encode
    from eth_abi.exceptions import EncodingError

    try:
        native = [_native(item, value) for item, value in zip(parameters, values, strict=True)]
        return bytes(encode([item.type for item in parameters], native))
    except (EncodingError, ValueError, KeyError) as error:
        raise InvalidInput(f"the arguments do not fit ({', '.join(p.type for p in parameters)}): {error}") from error


def decode_values(parameters: Sequence[Parameter], data: bytes) -> dict[str, Any]:
    """ABI-decode values by name. Raises MalformedDocument if the data is short or wrong."""
    names = [item.name or str(place) for place, item in enumerate(parameters)]
    if all(item.is_word for item in parameters):
        if len(data) != 32 * len(parameters):
            raise MalformedDocument(f"{len(data)} bytes are not {len(parameters)} words")
        words = [item.read(data[32 * i : 32 * i + 32]) for i, item in enumerate(parameters)]
        return dict(zip(names, words, strict=True))
    from eth_abi.exceptions import DecodingError

    try:
        values = _codec().decode([item.type for item in parameters], data)
    except (DecodingError, OverflowError) as error:
        raise MalformedDocument(f"the data does not decode: {error}") from error
    return {name: _plain(item, value) for name, item, value in zip(names, parameters, values, strict=True)}


@lru_cache(maxsize=1)
def _codec() -> Any:
    """eth_abi's codec, which takes the bytes of a string as they are: a contract does not check that they are text."""
    from eth_abi.codec import ABICodec
    from eth_abi.decoding import StringDecoder
    from eth_abi.registry import BaseEquals, registry

    lenient = registry.copy()  # type: ignore[no-untyped-call]
    lenient.unregister_decoder("string")
    strings = StringDecoder(handle_string_errors="replace")  # type: ignore[no-untyped-call]
    lenient.register_decoder(BaseEquals("string"), strings, label="string")  # type: ignore[no-untyped-call]
    return ABICodec(lenient)


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


def _reader(type_: str) -> Callable[[bytes], Any]:
    """What makes a value of this type from its word."""
    if type_.startswith("bytes"):
        return partial(_bytes, int(type_[5:]))
    if type_.startswith("int"):
        return partial(_signed, int(type_[3:]))
    bits = {"address": 160, "bool": 1}.get(type_) or int(type_[4:])
    number = partial(_unsigned, bits, type_)
    match type_:
        case "address":
            return lambda word: checksum(f"0x{number(word):040x}")
        case "bool":
            return lambda word: bool(number(word))
    return number


def _unsigned(bits: int, type_: str, word: bytes) -> int:
    number = int.from_bytes(word, "big")
    if number >> bits:
        raise MalformedDocument(f"a word does not hold a {type_}")
    return number


def _signed(bits: int, word: bytes) -> int:
    value = int.from_bytes(word, "big", signed=True)
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise MalformedDocument(f"a word does not hold an int{bits}")
    return value


def _bytes(size: int, word: bytes) -> str:
    if any(word[size:]):
        raise MalformedDocument(f"a word does not hold a bytes{size}")
    return "0x" + word[:size].hex()
