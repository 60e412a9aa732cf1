"""What the acts of every day cost, measured: writes docs/gas.json and, beside what others cost, docs/gas.md.

The whole system is deployed by the real deployer on an Anvil whose genesis, keys and times are fixed, so that the same
sources give the same figures to the last unit. Each scenario starts from the same state and is one transaction; its
figure is the receipt's gasUsed, 21,000 and calldata included. Names and calldata are those of docs/peers-gas.json.
"""

import json
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_utils.crypto import keccak
from web3 import Web3
from web3.contract import Contract

from issuer.chain import anvil, network
from issuer.chain.compiler import CHECKOUT, Compilation, compile_contracts
from issuer.chain.deployer import Deployer, Parameters
from issuer.chain.node import HttpNode, Node
from issuer.chain.signer import LocalSigner
from issuer.chain.wiring import CONTRACT_FILES, Limit, Table
from issuer.messages.report import Report, digest

FIGURES = CHECKOUT / "docs" / "gas.json"
COMPARISON = CHECKOUT / "docs" / "gas.md"
PEERS = CHECKOUT / "docs" / "peers-gas.json"

GENESIS_TIME = 1_800_000_000
DELAY = 60
CNH = 10**6
VALUE = 1_234_567
BATCH = 100
FEN = 10**4
REFERENCE = bytes(range(1, 33))
DEADLINE = GENESIS_TIME + 10**6
UNLIMITED = 2**256 - 1

PERMIT = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"
TRANSFER_WITH = "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)"
RECEIVE_WITH = "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)"
CANCEL = "cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)"

_FIELDS = {
    "Permit": ("address owner", "address spender", "uint256 value", "uint256 nonce", "uint256 deadline"),
    "TransferWithAuthorization": (
        "address from",
        "address to",
        "uint256 value",
        "uint256 validAfter",
        "uint256 validBefore",
        "bytes32 nonce",
    ),
    "CancelAuthorization": ("address authorizer", "bytes32 nonce"),
}
_FIELDS["ReceiveWithAuthorization"] = _FIELDS["TransferWithAuthorization"]


class FixedKeys:
    """The keys of everybody, the same in every run; worthless."""

    def signer(self, name: str) -> LocalSigner:
        return LocalSigner(self.key(name))

    def has(self, name: str) -> bool:
        return bool(name)

    def address(self, name: str) -> str:
        return self.signer(name).address

    def key(self, name: str) -> bytes:
        return bytes(keccak(text=f"gas of {name}"))


KEYS = FixedKeys()
ATTESTORS = tuple(sorted((KEYS.signer(name) for name in ("bank", "auditor")), key=lambda key: int(key.address, 16)))
PARAMETERS = Parameters(
    delay=DELAY,
    window=Limit(capacity=10_000_000 * CNH, refill=100 * CNH),
    bucket=Limit(capacity=5_000_000 * CNH, refill=50 * CNH),
    attestors=tuple(key.address for key in ATTESTORS),
    quorum=2,
    allowance=10**18,
)


@dataclass(kw_only=True)
class Bench:
    """The deployed system, and everybody's hands on it."""

    web3: Web3
    node: Node
    parts: dict[str, Contract]
    reports: int = 0

    @property
    def token(self) -> Contract:
        return self.parts["token"]

    def send(self, by: str, call: Any) -> int:
        """Gas of a call, mined a second after the last block."""
        last = self.web3.eth.get_block("latest")["timestamp"]
        self.node.call("evm_setNextBlockTimestamp", [last + 1])
        sent = call.transact({"from": KEYS.address(by), "gas": 10_000_000})
        receipt = self.web3.eth.wait_for_transaction_receipt(sent)
        if receipt["status"] != 1:
            raise AssertionError(f"{call.fn_name} by {by} failed")
        return int(receipt["gasUsed"])

    def arrive(self, name: str) -> None:
        """Somebody who can send transactions."""
        address = KEYS.address(name)
        self.node.call("anvil_setBalance", [address, hex(10**20)])
        self.node.call("anvil_impersonateAccount", [address])

    def verify(self, *addresses: str) -> None:
        self.send("registrar", self.token.functions.verify(list(addresses)))

    def attest(self, reserve: int) -> int:
        self.reports += 1
        report = Report(
            token=self.token.address,
            number=self.reports,
            reserve=reserve,
            paid=0,
            credited=reserve,
            as_of=self.web3.eth.get_block("latest")["timestamp"],
            log_root="0x" + REFERENCE.hex(),
            log_size=1000 + self.reports,
        )
        hashed = digest(report, self.web3.eth.chain_id, self.parts["feed"].address)
        signatures = [key.sign_digest(hashed) for key in ATTESTORS]
        return self.send("carol", self.parts["feed"].functions.post(tuple(report.message.values()), signatures))

    def mint(self, *recipients: str, value: int = VALUE) -> int:
        orders = [int(recipient, 16) << 96 | value for recipient in recipients]
        first = self.token.functions.nextNumber().call()
        return self.send("sender", self.parts["minter"].functions.mint(first, REFERENCE, orders))

    def propose(self, call: Any) -> int:
        return self.send("admin", self.token.functions.propose(_encoded(call)))

    def accept(self, call: Any) -> int:
        last = self.web3.eth.get_block("latest")["timestamp"]
        self.node.call("evm_setNextBlockTimestamp", [last + DELAY])
        self.node.call("evm_mine")
        return self.send("admin", self.token.functions.accept(_encoded(call)))

    def slowly(self, call: Any) -> None:
        self.propose(call)
        self.accept(call)

    def signed(self, by: str, kind: str, **message: Any) -> tuple[int, bytes, bytes]:
        """v, r, s over a message of the token's domain (ERC-5267)."""
        found = self.token.functions.eip712Domain().call()
        domain = dict(zip(("name", "version", "chainId", "verifyingContract"), found[1:5], strict=True))
        fields = [dict(zip(("type", "name"), field.split(), strict=True)) for field in _FIELDS[kind]]
        form = Account.sign_typed_data(KEYS.key(by), domain, {kind: fields}, message)
        return form.v, form.r.to_bytes(32, "big"), form.s.to_bytes(32, "big")

    def permit(self, nonce: int, value: int) -> int:
        alice, bob = KEYS.address("alice"), KEYS.address("bob")
        message = {"owner": alice, "spender": bob, "value": value, "nonce": nonce, "deadline": DEADLINE}
        signature = self.signed("alice", "Permit", **message)
        return self.send("carol", self._function(PERMIT)(alice, bob, value, DEADLINE, *signature))

    def authorized(self, kind: str, recipient: str, by: str) -> int:
        signature = TRANSFER_WITH if kind.startswith("Transfer") else RECEIVE_WITH
        values = (KEYS.address("alice"), recipient, VALUE, 0, DEADLINE, _random_nonce())
        names = (field.split()[1] for field in _FIELDS[kind])
        form = self.signed("alice", kind, **dict(zip(names, values, strict=True)))
        return self.send(by, self._function(signature)(*values, *form))

    def cancel_authorization(self) -> int:
        alice, nonce = KEYS.address("alice"), _random_nonce()
        form = self.signed("alice", "CancelAuthorization", authorizer=alice, nonce=nonce)
        return self.send("carol", self._function(CANCEL)(alice, nonce, *form))

    def _function(self, signature: str) -> Any:
        return self.token.get_function_by_signature(signature)


@contextmanager
def deployed(compilation: Compilation) -> Iterator[Bench]:
    """The system on a chain of its own, policy verified: alice, bob and carol hold tokens."""
    options = ["--no-mining", "--chain-id", str(anvil.CHAIN_ID), "--timestamp", str(GENESIS_TIME)]
    running = anvil.start(anvil.executable(CHECKOUT), _free_port(), options)
    node = HttpNode(running.url)
    try:
        bench = _deploy(node, running.url, compilation)
        for name in ("admin", "guardian", "registrar", "freezer", "sender", "alice", "bob", "carol"):
            bench.arrive(name)
        holders = [KEYS.address(name) for name in ("alice", "bob", "carol")]
        bench.verify(*holders, KEYS.address("verified stranger"))
        bench.attest(1_000_000 * CNH)
        bench.mint(*holders, value=1000 * CNH)
        yield bench
    finally:
        node.close()
        running.stop()


def _deploy(node: HttpNode, url: str, compilation: Compilation) -> Bench:
    table = Table(CHECKOUT / "contracts" / "roles.toml")
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        deployer = Deployer(node, network.identify(node), KEYS, PARAMETERS, compilation, table, folder, folder)
        clock = iter(range(GENESIS_TIME + 1, GENESIS_TIME + 100))
        deployer.run(lambda: _mine(node, next(clock)))
    node.call("evm_setAutomine", [True])
    web3 = Web3(Web3.HTTPProvider(url))
    parts = {}
    for name, short in CONTRACT_FILES.items():
        address = Web3.to_checksum_address(deployer.addresses[short])
        parts[short] = web3.eth.contract(address, abi=list(compilation.contracts[name].abi))
    return Bench(web3=web3, node=node, parts=parts)


Scenario = Callable[[Bench], int]


def _sent(by: str, function: str, *arguments: Any) -> Scenario:
    """One call of the token."""
    return lambda bench: bench.send(by, bench.token.functions[function](*arguments))


def _opened(then: Scenario) -> Scenario:
    """Under the open policy: under the verified one a recipient's word is never new."""

    def act(bench: Bench) -> int:
        bench.slowly(bench.token.functions.setPolicy(1, 2, 0, 2))
        return then(bench)

    return act


def _spent(allowance: int, recipient: str) -> Scenario:
    def act(bench: Bench) -> int:
        bench.send("alice", bench.token.functions.approve(CAROL, allowance))
        return bench.send("carol", bench.token.functions.transferFrom(ALICE, recipient, VALUE))

    return act


def _authorized(kind: str, recipient: str, by: str) -> Scenario:
    return lambda bench: bench.authorized(kind, recipient, by)


def _whole_balance(bench: Bench) -> int:
    balance = bench.token.functions.balanceOf(ALICE).call()
    return bench.send("alice", bench.token.functions.transfer(BOB, balance))


def _redeemed(bench: Bench) -> int:
    """Not the first ever: that one also makes the count of what is redeemed new."""
    bench.send("alice", bench.token.functions.redeem(FEN, REFERENCE))
    return bench.send("alice", bench.token.functions.redeem(100 * FEN, REFERENCE))


def _batch(bench: Bench) -> int:
    """Per order, to holders of tokens, rounded up."""
    recipients = [KEYS.address(f"customer {number}") for number in range(BATCH)]
    bench.verify(*recipients)
    bench.mint(*recipients)
    return -(-bench.mint(*recipients) // BATCH)


def _unfreeze_proposed(bench: Bench) -> int:
    bench.send("freezer", bench.token.functions.freeze([CAROL]))
    return bench.propose(bench.token.functions.unfreeze(CAROL, 1))


def _unfrozen(bench: Bench) -> int:
    _unfreeze_proposed(bench)
    return bench.accept(bench.token.functions.unfreeze(CAROL, 1))


def _permitted_later(bench: Bench) -> int:
    bench.permit(0, 10 * VALUE)
    return bench.permit(1, VALUE)


ALICE, BOB, CAROL = (KEYS.address(name) for name in ("alice", "bob", "carol"))
STRANGER, VERIFIED_STRANGER = KEYS.address("stranger"), KEYS.address("verified stranger")

SCENARIOS: Mapping[str, Scenario] = {
    "mint new recipient": lambda bench: bench.mint(VERIFIED_STRANGER),
    "mint existing recipient": lambda bench: bench.mint(BOB),
    "burn (partial)": _redeemed,
    "transfer new recipient": _opened(_sent("alice", "transfer", STRANGER, VALUE)),
    "transfer existing recipient": _sent("alice", "transfer", BOB, VALUE),
    "transfer whole balance, existing recipient": _whole_balance,
    "approve 0->x": _sent("alice", "approve", CAROL, 10 * VALUE),
    "transferFrom finite, new recipient": _opened(_spent(10 * VALUE, STRANGER)),
    "transferFrom finite, existing recipient": _spent(10 * VALUE, BOB),
    "transferFrom infinite, existing recipient": _spent(UNLIMITED, BOB),
    "permit first (nonce 0)": lambda bench: bench.permit(0, VALUE),
    "permit later (nonce>0, allowance set)": _permitted_later,
    "transferWithAuthorization new recipient": _opened(_authorized("TransferWithAuthorization", STRANGER, "carol")),
    "transferWithAuthorization existing recipient": _authorized("TransferWithAuthorization", BOB, "carol"),
    "receiveWithAuthorization existing recipient": _authorized("ReceiveWithAuthorization", BOB, "bob"),
    "cancelAuthorization": Bench.cancel_authorization,
    "freeze (holder)": _sent("freezer", "freeze", [CAROL]),
    "unfreeze": _unfrozen,
    "pause": _sent("guardian", "stop", 1),
    # Ours alone.
    "mint per order, batch of 100": _batch,
    "transfer new recipient, policy verified": _sent("alice", "transfer", VERIFIED_STRANGER, VALUE),
    "transferWithMemo existing recipient": _sent("alice", "transferWithMemo", BOB, VALUE, REFERENCE),
    "unfreeze proposed": _unfreeze_proposed,
    "reserve report posted": lambda bench: bench.attest(1_000_001 * CNH),
}
"""What is measured, by name: those of the comparison first."""


def measure(compilation: Compilation) -> dict[str, int]:
    """Gas of each scenario, each from the same state."""
    figures = {}
    with deployed(compilation) as bench:
        for name, scenario in SCENARIOS.items():
            snapshot = bench.node.call("evm_snapshot")
            figures[name] = scenario(bench)
            bench.node.call("evm_revert", [snapshot])
    return figures


def figures_text(figures: dict[str, int]) -> str:
    return json.dumps(figures, indent=1) + "\n"


def comparison_text(figures: dict[str, int]) -> str:
    """docs/gas.md: ours beside the peers'."""
    peers: dict[str, dict[str, int]] = json.loads(PEERS.read_text())["rows"]
    heads = ["", "**ours**", *peers]
    lines = [_INTRODUCTION, _row(heads), _row(["---"] + ["---:"] * (len(heads) - 1))]
    for name, gas in figures.items():
        others = [_number(found.get(name)) for found in peers.values()]
        lines.append(_row([name, f"**{_number(gas)}**", *others]))
    return "\n".join([*lines, _remarks(figures, peers)])


def _remarks(figures: dict[str, int], peers: dict[str, dict[str, int]]) -> str:
    floor = peers["Solady 0.1.26 plain ERC20 (no proxy)"]
    above = {name: gas - floor[name] for name, gas in figures.items() if name in floor}
    rows = [_row([name, _number(floor[name]), _number(more)]) for name, more in above.items()]
    table = "\n".join([_row(["", "bare Solady ERC-20", "ours above it"]), _row(["---", "---:", "---:"]), *rows])
    return _REMAINDER.format(table=table)


_INTRODUCTION = """# Gas

Written by `make gas` from what it measures; `make test` measures again and compares. The system is deployed by the
deployer on Anvil, as on a public chain; each figure is the `gasUsed` of a whole transaction, its 21,000 and calldata
included. The amount is 1234567 units, a new recipient's account word has never been written, the sender keeps a
balance, an EIP-3009 nonce is random. The policy is `verified` (every account of a transfer has been verified) except
for `new recipient`, which only the `open` policy knows; what the same transfer costs to a verified account without
tokens is a row of its own. The other columns are the same calls, measured in the same way on each project's published
code ([peers-gas.json](peers-gas.json) has its note). Empty: the contract has no such function.

`mint` is one order through `Minter`: two buckets, the gate against the reserve report, a number and a reference; the
others' is a mint without a gate. `burn` is `redeem` with a payout reference. `unfreeze` is the acceptance of the
waiting act, `pause` a stop of transfers; both are checked against a table of roles in another contract.
"""

_REMAINDER = """
## What remains over the floor

A bare Solady ERC-20, written in assembly, with no role, no status and no gate:

{table}

- **transfer**: 2,100 is one cold read, of the rules word (policy, stops, hook): what makes a stop of one step and a
  policy possible. The rest is the way to the function past more of them, and the tests of the two statuses, which lie
  in the words of the balances and so cost no read.
- **transferFrom**: the rules word again, and 2,100 for the spender's account word: an old allowance of a frozen
  spender is worth nothing. A token that does not look at its spender (Agora's) is cheaper by that.
- **the whole balance**: a token whose balance has a word of its own gets 4,800 back when the word becomes zero; here
  the status stays in it.
- **approve**: nothing is read but the allowance itself, and it is written in assembly, as the floor's is.
- **permit**: the recovery of the signer and the nonce are the floor's too; what remains is the way to the function and
  the code that is shared by all signatures, in Solidity.
- **mint**: the call from the minter to the token (2,600), two buckets (4,200 to read, 5,800 to write), the rules, the
  minter's address and the totals (6,300), the feed (2,600 for the call, 2,100 for its word). In a batch all of it is
  paid once: what remains is the recipient's word, its event, and the calldata of one word.
- **burn**: the rules word, and the two events and checks of a redemption; supply and redeemed are one write.
- **freeze**, **unfreeze**, **pause**: the check of the role costs about 11,000: a call of the authority, and three cold
  reads there. A token that keeps its own owner or freezer in its own storage is cheaper by that, and has one
  more list of keys.
"""


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(gas: int | None) -> str:
    return "" if gas is None else f"{gas:,}"


def _encoded(call: Any) -> bytes:
    return bytes.fromhex(call._encode_transaction_data()[2:])


def _random_nonce() -> bytes:
    return bytes(keccak(text="a random nonce"))


def _mine(node: Node, time: int) -> None:
    node.call("evm_setNextBlockTimestamp", [time])
    node.call("evm_mine")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    figures = measure(compile_contracts())
    FIGURES.write_text(figures_text(figures))
    COMPARISON.write_text(comparison_text(figures))
    print(figures_text(figures), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
