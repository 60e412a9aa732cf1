"""Compiles contracts/*.sol, the same bytecode everywhere.

py-solc-x drives a compiler of exactly SOLC_VERSION: SOLC_BINARY if it is set, a native ``solc`` on PATH if it is of
that version, else scripts/solc, which runs the npm package. All three give the same bytecode: the sources are in the
input under names that do not depend on the machine, and no metadata is appended. The output is kept in a cache under
the SHA-256 of version and input, so that a second start does not compile.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from issuer.errors import Misconfigured
from issuer.files import replace

SOLC_VERSION = "0.8.37+commit.f401782d"

CHECKOUT = Path(__file__).resolve().parents[2]

SETTINGS: Mapping[str, Any] = {
    "evmVersion": "prague",
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
}
"""The deployed settings; foundry.toml says the same."""

_OUTPUTS = (
    "abi",
    "devdoc",
    "userdoc",
    "storageLayout",
    "evm.bytecode.object",
    "evm.deployedBytecode.object",
    "evm.deployedBytecode.immutableReferences",
    "evm.methodIdentifiers",
)
_IMPORT = re.compile(r'^import\s[^;]*?"([^"]+)"\s*;', re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Contract:
    name: str
    source: str
    """Name of the source file in the compiler's input, such as ``contracts/Minter.sol``."""
    abi: tuple[Mapping[str, Any], ...]
    creation_code: bytes
    """Without constructor arguments."""
    runtime_code: bytes
    """With zeros where the constructor puts immutables."""
    immutable_references: tuple[tuple[int, int], ...]
    """(start, length) in bytes of every immutable in the runtime code, in order."""
    storage_layout: Mapping[str, Any]
    method_identifiers: Mapping[str, str]
    """Canonical signature to selector, eight hex digits."""
    documentation: Mapping[str, Any]
    """The compiler's ``userdoc`` and ``devdoc``."""

    def matches(self, deployed: bytes) -> bool:
        """Whether the code on chain is this contract's, whatever its immutables are."""
        return self._without_immutables(deployed) == self._without_immutables(self.runtime_code)

    def _without_immutables(self, code: bytes) -> bytes:
        masked = bytearray(code)
        for start, length in self.immutable_references:
            masked[start : start + length] = bytes(length)
        return bytes(masked)


@dataclass(frozen=True, kw_only=True)
class Compilation:
    contracts: Mapping[str, Contract]
    standard_input: Mapping[str, Any]
    """The whole input, from which an explorer can verify the source."""
    digest: str
    """SHA-256 of compiler version and input, hex."""


def compile_contracts(cache: Path | None = None, *, fresh: bool = False) -> Compilation:
    """The project's deployable contracts, one per file directly in contracts/.

    ``cache`` is the folder for the compiler's output (default: build/ in the checkout). ``fresh`` compiles even when
    the output is there. Raises Misconfigured when contracts, libraries or compiler are missing, or the sources do not
    compile.
    """
    standard_input = standard_json()
    digest = _digest(standard_input)
    folder = cache or CHECKOUT / "build"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"contracts-{digest}.json"
    with _alone(folder / "contracts.lock"):
        if fresh or not path.exists():
            replace(path, json.dumps(_run(standard_input), sort_keys=True).encode())
    output = json.loads(path.read_text())
    return Compilation(contracts=_contracts(output), standard_input=standard_input, digest=digest)


def standard_json() -> dict[str, Any]:
    """The compiler's standard-JSON input, with every source in it."""
    roots = sorted(path.name for path in (CHECKOUT / "contracts").glob("*.sol"))
    if not roots:
        raise Misconfigured("There are no contracts beside the package.", "Install it from a checkout: make install.")
    sources = _closure([f"contracts/{name}" for name in roots])
    selection = {f"contracts/{name}": {"*": list(_OUTPUTS)} for name in roots}
    return {
        "language": "Solidity",
        "sources": {name: {"content": sources[name]} for name in sorted(sources)},
        "settings": {**SETTINGS, "outputSelection": selection},
    }


def find_solc() -> Path:
    """The compiler to drive: SOLC_BINARY, a native one of the right version on PATH, or the npm package's."""
    if chosen := os.environ.get("SOLC_BINARY"):
        return Path(chosen)
    native = shutil.which("solc")
    if native is not None and _version(Path(native)) == SOLC_VERSION:
        return Path(native)
    return CHECKOUT / "scripts" / "solc"


def _closure(names: list[str]) -> dict[str, str]:
    """Source text by source name, of the named sources and everything they import."""
    sources: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in sources:
            sources[name] = _read(name)
            waiting += [_resolve(name, imported) for imported in _IMPORT.findall(sources[name])]
    return sources


def _resolve(importer: str, imported: str) -> str:
    if not imported.startswith("."):
        return imported
    joined = os.path.normpath(PurePosixPath(importer).parent / imported)
    return PurePosixPath(joined).as_posix()


def _read(name: str) -> str:
    folder = CHECKOUT if name.startswith("contracts/") else CHECKOUT / "node_modules"
    try:
        return (folder / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Misconfigured(f"The Solidity source {name} is missing.", "Run `make install`.") from None


def _digest(standard_input: Mapping[str, Any]) -> str:
    text = json.dumps([SOLC_VERSION, standard_input], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _run(standard_input: dict[str, Any]) -> dict[str, Any]:
    # Imported late: only a first start compiles.
    from solcx import compile_standard
    from solcx.exceptions import SolcError

    solc = find_solc()
    if (version := _version(solc)) != SOLC_VERSION:
        raise Misconfigured(
            f"{solc} is Solidity {version or 'of no known version'}, not {SOLC_VERSION}.",
            "Unset SOLC_BINARY and run `make install`.",
        )
    try:
        return dict(compile_standard(standard_input, solc_binary=solc)["contracts"])
    except SolcError as error:
        raise Misconfigured(f"The contracts do not compile: {error.message}", "Correct the source.") from error


def _version(solc: Path) -> str | None:
    """Version and commit of a compiler; None when it cannot be run or does not say."""
    from solcx.exceptions import SolcError
    from solcx.wrapper import get_version_str_from_solc_binary

    try:
        return get_version_str_from_solc_binary(solc)
    except (OSError, subprocess.CalledProcessError, SolcError):
        return None


def _contracts(output: Mapping[str, Mapping[str, Any]]) -> dict[str, Contract]:
    found = (_contract(source, name, data) for source, contracts in output.items() for name, data in contracts.items())
    # An abstract contract has no code of its own.
    return {contract.name: contract for contract in found if contract.creation_code}


def _contract(source: str, name: str, data: Mapping[str, Any]) -> Contract:
    runtime = data["evm"]["deployedBytecode"]
    references = (place for places in runtime["immutableReferences"].values() for place in places)
    return Contract(
        name=name,
        source=source,
        abi=tuple(data["abi"]),
        creation_code=bytes.fromhex(data["evm"]["bytecode"]["object"]),
        runtime_code=bytes.fromhex(runtime["object"]),
        immutable_references=tuple(sorted((place["start"], place["length"]) for place in references)),
        storage_layout=data["storageLayout"],
        method_identifiers=data["evm"]["methodIdentifiers"],
        documentation={"userdoc": data["userdoc"], "devdoc": data["devdoc"]},
    )


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process compiles; those that start meanwhile wait for its output."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
