"""What the contracts' ABI has, what it must never have, and that every power is documented."""

import re
import tomllib

import pytest

from issuer.chain.compiler import CHECKOUT, Compilation, Contract

ERC20 = {
    "name()",
    "symbol()",
    "decimals()",
    "totalSupply()",
    "balanceOf(address)",
    "transfer(address,uint256)",
    "transferFrom(address,address,uint256)",
    "approve(address,uint256)",
    "allowance(address,address)",
}

YIELD = re.compile(r"rebas|reward|interest|yield|dividend|accrue|shares?$|multiplier|index|stak", re.IGNORECASE)
UPGRADE = re.compile(r"upgrade|implementation|proxy|initialize|selfdestruct|delegate", re.IGNORECASE)


def names(contract: Contract) -> set[str]:
    return {item["name"] for item in contract.abi if "name" in item}


def test_the_token_is_an_erc20(compilation: Compilation) -> None:
    assert set(compilation.contracts["OffshoreYuan"].method_identifiers) >= ERC20


def test_no_contract_pays_interest_by_time_balance_or_value(compilation: Compilation) -> None:
    """R-28: no rebase and no reward, in functions, events or errors."""
    for contract in compilation.contracts.values():
        assert not [name for name in names(contract) if YIELD.search(name)]


def test_no_contract_can_be_upgraded(compilation: Compilation) -> None:
    for contract in compilation.contracts.values():
        assert not [name for name in names(contract) if UPGRADE.search(name)]
        assert b"\xf4" not in opcodes(contract.runtime_code) or contract.name == "Authority"  # Multicall, to itself


def opcodes(code: bytes) -> set[bytes]:
    """The opcodes of runtime code, without the data that PUSH carries."""
    found, at = set(), 0
    while at < len(code):
        op = code[at]
        found.add(bytes([op]))
        at += 1 + max(0, op - 0x5F if 0x60 <= op <= 0x7F else 0)
    return found


def test_the_token_is_never_pre_minted_nor_takes_ether(compilation: Compilation) -> None:
    """R-01; and nothing payable, where ether would be stuck."""
    for name in ("OffshoreYuan", "Minter", "ReserveFeed", "Bootstrap", "Settlement"):
        abi = compilation.contracts[name].abi
        assert not [item for item in abi if item.get("stateMutability") == "payable"]
        assert not [item for item in abi if item["type"] in ("fallback", "receive")]


def test_storage_has_the_shape_of_the_design(compilation: Compilation) -> None:
    """A moved slot would be seen here before an auditor sees it."""
    layout = compilation.contracts["OffshoreYuan"].storage_layout["storage"]
    assert [(item["label"], int(item["slot"])) for item in layout] == [
        ("readyAt", 0),
        ("nonces", 1),
        ("_states", 2),
        ("_accounts", 3),
        ("_allowances", 4),
        ("_rules", 5),
        ("_totals", 6),
        ("_minting", 7),
        ("_hook", 8),
        ("successor", 9),
        ("_contractURI", 10),
    ]


@pytest.mark.parametrize("name", ["OffshoreYuan", "Minter", "ReserveFeed", "Authority", "Bootstrap", "Settlement"])
def test_every_power_says_who(compilation: Compilation, name: str) -> None:
    """Slow acts of the token share one sentence about who and delay, at the head of their section."""
    powers = tomllib.loads((CHECKOUT / "contracts" / "roles.toml").read_text())["contracts"][name]
    documented = compilation.contracts[name].documentation
    for signature, who in [*powers["functions"].items(), *powers["slow"].items()]:
        if who in ("holder", "signed", "anyone", "role admin", "target") or (name == "Authority" and who == "ADMIN"):
            continue
        notice = documented["userdoc"]["methods"].get(signature, {}).get("notice", "")
        details = documented["devdoc"]["methods"].get(signature, {}).get("details", "")
        assert "Who:" in details or (signature in powers["slow"] and notice.startswith("Slow act:")), signature
