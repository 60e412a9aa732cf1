"""The compiler: the same bytecode every time, from a pinned version, compiled once."""

import json
import stat
import tomllib
from pathlib import Path

import pytest

from issuer.chain import compiler
from issuer.chain.compiler import CHECKOUT, SETTINGS, SOLC_VERSION, Compilation, compile_contracts
from issuer.errors import Misconfigured
from tests.contracts.system import System


def test_the_deployable_contracts_are_compiled(compilation: Compilation) -> None:
    assert set(compilation.contracts) == {
        "Authority",
        "Bootstrap",
        "Minter",
        "OffshoreYuan",
        "ReserveFeed",
        "Settlement",
    }
    for contract in compilation.contracts.values():
        assert 0 < len(contract.runtime_code) < 24_576  # EIP-170
        assert contract.source == f"contracts/{contract.name}.sol"


def test_compiling_twice_gives_the_same_bytes(compilation: Compilation, tmp_path: Path) -> None:
    again = compile_contracts(tmp_path, fresh=True)
    assert again == compilation


def test_the_output_is_kept_and_read_again(
    compilation: Compilation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = CHECKOUT / "build" / f"contracts-{compilation.digest}.json"
    (tmp_path / kept.name).write_bytes(kept.read_bytes())
    monkeypatch.setenv("SOLC_BINARY", "/no/such/solc")
    assert compile_contracts(tmp_path) == compilation


def test_the_input_says_nothing_of_this_machine(compilation: Compilation) -> None:
    assert all(name.startswith(("contracts/", "@openzeppelin/")) for name in compilation.standard_input["sources"])
    assert str(CHECKOUT) not in json.dumps(compilation.standard_input)


def test_forge_compiles_with_the_same_settings() -> None:
    profile = tomllib.loads((CHECKOUT / "foundry.toml").read_text())["profile"]["default"]
    assert profile["solc"] == "scripts/solc"
    assert profile["evm_version"] == SETTINGS["evmVersion"]
    assert profile["optimizer"] == SETTINGS["optimizer"]["enabled"]
    assert profile["optimizer_runs"] == SETTINGS["optimizer"]["runs"]
    assert profile.get("via_ir", False) == SETTINGS.get("viaIR", False)
    assert profile["bytecode_hash"] == SETTINGS["metadata"]["bytecodeHash"]
    assert profile["cbor_metadata"] == SETTINGS["metadata"]["appendCBOR"]


def test_another_version_of_the_compiler_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "solc"
    other.write_text("#!/bin/sh\necho 'Version: 0.8.30+commit.73712a01.Linux.g++'\n")
    other.chmod(other.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("SOLC_BINARY", str(other))
    with pytest.raises(Misconfigured, match=r"0\.8\.30\+commit\.73712a01, not " + SOLC_VERSION.replace("+", r"\+")):
        compile_contracts(tmp_path, fresh=True)


def test_a_compiler_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLC_BINARY", str(tmp_path / "solc"))
    with pytest.raises(Misconfigured, match="no known version"):
        compile_contracts(tmp_path, fresh=True)


def test_a_source_that_does_not_compile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "Broken.sol").write_text("contract Broken { function }")
    monkeypatch.setattr(compiler, "CHECKOUT", tmp_path)
    monkeypatch.setenv("SOLC_BINARY", str(CHECKOUT / "scripts" / "solc"))
    with pytest.raises(Misconfigured, match="do not compile"):
        compile_contracts(tmp_path / "build")


def test_a_missing_source_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "CHECKOUT", tmp_path)
    with pytest.raises(Misconfigured, match="no contracts"):
        compile_contracts(tmp_path / "build")
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "Lonely.sol").write_text('import "@openzeppelin/contracts/Nowhere.sol";')
    with pytest.raises(Misconfigured, match=r"@openzeppelin/contracts/Nowhere\.sol is missing"):
        compile_contracts(tmp_path / "build")


def test_code_on_chain_is_recognised_whatever_its_immutables(compilation: Compilation, system: System) -> None:
    names = {"token": "OffshoreYuan", "minter": "Minter", "feed": "ReserveFeed", "authority": "Authority"}
    for key, part in system.parts.items():
        deployed = bytes(system.web3.eth.get_code(part.address))
        contract = compilation.contracts[names[key]]
        assert contract.matches(deployed)
        assert not contract.matches(deployed[:-1] + bytes([deployed[-1] ^ 1]))
        assert not contract.matches(b"")
