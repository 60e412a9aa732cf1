"""Writes docs/dossier.md from the compiler's output and contracts/roles.toml: what a contract is, who may do what."""

import hashlib
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from issuer.chain.compiler import CHECKOUT, SETTINGS, SOLC_VERSION, Compilation, Contract, compile_contracts
from issuer.messages.abi import keccak

DOSSIER = CHECKOUT / "docs" / "dossier.md"
ROLES = CHECKOUT / "contracts" / "roles.toml"

_AUTHORIZED = "(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)"
STANDARDS: Mapping[str, tuple[str, ...]] = {
    "ERC-20": (
        "totalSupply()",
        "balanceOf(address)",
        "transfer(address,uint256)",
        "transferFrom(address,address,uint256)",
        "approve(address,uint256)",
        "allowance(address,address)",
    ),
    "ERC-2612 (permit)": (
        "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
        "nonces(address)",
        "DOMAIN_SEPARATOR()",
    ),
    "ERC-3009 (transfer with authorization)": (
        f"transferWithAuthorization{_AUTHORIZED}",
        f"receiveWithAuthorization{_AUTHORIZED}",
        "cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)",
        "authorizationState(address,bytes32)",
    ),
    "ERC-5267 (EIP-712 domain)": ("eip712Domain()",),
    "ERC-165 (interface detection)": ("supportsInterface(bytes4)",),
    "ERC-7572 (contract metadata)": ("contractURI()",),
    "Chainlink AggregatorV3Interface": ("latestRoundData()", "getRoundData(uint80)", "decimals()", "description()"),
    "OpenZeppelin AccessManager": ("canCall(address,address,bytes4)", "hasRole(uint64,address)"),
}
"""What a contract must have to be said to follow a standard."""


def dossier(compilation: Compilation) -> str:
    """The whole document, the same from the same sources."""
    table = tomllib.loads(ROLES.read_text())
    parts = [_HEAD, *_compiler(compilation), *_roles(table)]
    for contract in compilation.contracts.values():
        parts += _contract(contract, table["contracts"].get(contract.name, {}))
    return "\n".join([*parts, ""])


def undocumented(contract: Contract) -> list[str]:
    """Functions that say nothing of what they do, though they change something or are asked about something.

    A constant, a figure or a mapping by its name, and what a standard describes, need not.
    """
    states = _states(contract)
    standard = {signature for needed in STANDARDS.values() for signature in needed}
    variables = {item["label"] for item in contract.storage_layout["storage"]}
    return [
        signature
        for signature in contract.method_identifiers
        if signature not in standard
        and signature.partition("(")[0] not in variables
        and (states[signature] not in ("view", "pure") or not signature.endswith("()"))
        and not _said(contract, signature)
    ]


def _said(contract: Contract, signature: str) -> str:
    """The notice of a function or a public variable; without one, its developers' comment, or what it returns."""
    user, developer = (contract.documentation[kind] for kind in ("userdoc", "devdoc"))
    found = developer.get("methods", {}).get(signature, {})
    variable = developer.get("stateVariables", {}).get(signature.partition("(")[0], {})
    returned = {**found.get("returns", {}), **variable.get("returns", {})}
    places = (
        user.get("methods", {}).get(signature, {}).get("notice"),
        found.get("details"),
        variable.get("details"),
        "; ".join(text if name.startswith("_") else f"{name}: {text}" for name, text in returned.items()),
    )
    return next((place for place in places if place), "")


def _states(contract: Contract) -> dict[str, str]:
    """Mutability by canonical signature."""
    functions = (entry for entry in contract.abi if entry["type"] == "function")
    return {_canonical(_declaration(entry)): entry["stateMutability"] for entry in functions}


def _compiler(compilation: Compilation) -> Iterator[str]:
    installed = json.loads((CHECKOUT / "package.json").read_text())["dependencies"]
    sources = compilation.standard_input["sources"]
    libraries = sorted(name for name in sources if not name.startswith("contracts/"))
    yield "## Compiler\n"
    yield from _table(
        ("", ""),
        [
            ("compiler", f"solc {SOLC_VERSION}"),
            ("settings", f"`{json.dumps(SETTINGS, sort_keys=True)}`"),
            ("input, SHA-256 with the compiler's version", f"`{compilation.digest}`"),
            ("library", f"@openzeppelin/contracts {installed['@openzeppelin/contracts']}"),
        ],
    )
    yield "\nOf the library, these files with their SHA-256:\n"
    for name in libraries:
        yield f"- `{name}` `{hashlib.sha256(sources[name]['content'].encode()).hexdigest()[:16]}`"


def _roles(table: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Authority matrix\n"
    heads = ("role", "id", "held by", "given and taken by", "a grant", "purpose")
    rows = (
        (
            role["name"],
            role["id"],
            ", ".join(role["holders"]),
            role["admin"],
            "waits" if role["grant_delay"] == "delay" else "at once",
            role["purpose"],
        )
        for role in table["roles"]
    )
    yield from _table(heads, rows)
    yield "\nNever held together: " + ", ".join(" and ".join(pair) for pair in table["conflicts"]) + ".\n"
    yield from _table(("authority", "trigger and procedure", "operations"), _operations(table["contracts"]))


def _operations(contracts: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(who, how, which functions): the functions that change state, by who calls them."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, tables in contracts.items():
        for signature, who in tables["functions"].items():
            found.setdefault((_who(who), "called, at once"), []).append(f"{name}.{_short(signature)}")
        for signature, who in tables["slow"].items():
            how = "proposed, waits for the delay, accepted; GUARDIAN cancels"
            found.setdefault((_who(who), how), []).append(f"{name}.{_short(signature)}")
    return ((who, how, ", ".join(f"`{name}`" for name in dict.fromkeys(names))) for (who, how), names in found.items())


def _contract(contract: Contract, powers: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    documents = contract.documentation
    title = documents["devdoc"].get("title", "")
    yield f"\n## {contract.name}\n\n{title}. `{contract.source}`\n"
    yield from _table(("", ""), _figures(contract))
    yield "\n### Functions\n"
    yield from _table(("function", "selector", "state", "who", "what"), _functions(contract, powers))
    for kind in ("event", "error"):
        entries = sorted({_declaration(entry) for entry in contract.abi if entry["type"] == kind})
        if entries:
            yield f"\n### {kind.capitalize()}s\n"
            yield from (f"- `{signature}` `{keccak(_canonical(signature).encode())[:10]}`" for signature in entries)
    if contract.storage_layout["storage"]:
        yield "\n### Storage\n"
        yield from _table(("slot", "offset", "bytes", "name", "type"), _storage(contract))


def _figures(contract: Contract) -> Iterator[tuple[str, str]]:
    standards = [name for name, needed in STANDARDS.items() if set(needed) <= set(contract.method_identifiers)]
    yield "standards", ", ".join(standards) or "none"
    yield "runtime code", f"{len(contract.runtime_code):,} of at most 24,576 bytes"
    yield "runtime code, Keccak-256, immutables zero", f"`{keccak(contract.runtime_code)}`"
    yield "creation code, Keccak-256, without arguments", f"`{keccak(contract.creation_code)}`"


def _functions(contract: Contract, powers: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    states = _states(contract)
    for signature, selector in sorted(contract.method_identifiers.items()):
        slow = signature in powers.get("slow", {})
        who = powers.get("slow" if slow else "functions", {}).get(signature)
        shown = "" if who is None else _who(who) + (", slowly" if slow else "")
        said = " ".join(_said(contract, signature).split())
        yield f"`{signature}`", f"`0x{selector}`", states[signature], shown, said.replace("|", "\\|")


def _storage(contract: Contract) -> Iterator[tuple[Any, ...]]:
    types = contract.storage_layout["types"]
    for item in contract.storage_layout["storage"]:
        kind = types[item["type"]]
        yield item["slot"], item["offset"], kind["numberOfBytes"], f"`{item['label']}`", f"`{kind['label']}`"


def _declaration(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']}({', '.join(_named(item) for item in entry['inputs'])})"


def _named(item: Mapping[str, Any]) -> str:
    words = (_type(item), "indexed" if item.get("indexed") else "", item["name"])
    return " ".join(word for word in words if word)


def _type(item: Mapping[str, Any]) -> str:
    kind = str(item["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type(part) for part in item['components'])}){kind.removeprefix('tuple')}"


def _canonical(declaration: str) -> str:
    """A declaration without the names of its arguments."""
    name, _, arguments = declaration.partition("(")
    return f"{name}({','.join(argument.split(' ')[0] for argument in arguments[:-1].split(', '))})"


def _who(who: str | list[str]) -> str:
    return who if isinstance(who, str) else " or ".join(who)


def _short(signature: str) -> str:
    return re.sub(r"\(.*", "", signature)


def _table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    heads = tuple(heads)
    for row in (heads, ["---"] * len(heads), *rows):
        yield "| " + " | ".join(str(cell) for cell in row) + " |"


_HEAD = """# Dossier of the contracts

Written by `make dossier` from the compiler's output and [`contracts/roles.toml`](../contracts/roles.toml); `make test`
compares. Sandbox, not licensed. Beside each deployment on a public chain lie its record, with the hash of every
contract's code, and the compiler's whole input, from which an explorer verifies the source.
"""


def main() -> int:
    DOSSIER.write_text(dossier(compile_contracts()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
