"""What is deployed: the record that every part of the house reads, kept in the home under the chain's genesis."""

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from issuer import crash
from issuer.errors import Misconfigured
from issuer.files import replace

SPEAKING = ("token", "minter", "feed", "authority")
"""The contracts that are called and whose events are read."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    chain_id: int
    genesis: str  # hash of block 0
    block: int  # the last block before anything of ours: where reading starts
    token: str
    minter: str
    feed: str
    authority: str
    bootstrap: str
    delay: int  # seconds that a slow act waits
    quorum: int  # signatures a report needs
    attestors: tuple[str, ...]
    keys: dict[str, str]  # address of each job, as wired
    code: dict[str, str]  # Keccak-256 of each contract's code on chain
    compiler_input: str  # SHA-256 of compiler version and standard JSON input
    former: dict[str, str] = field(default_factory=dict)  # which of the four an address once was; never in the record

    def address(self, contract: str) -> str:
        """The address of ``token``, ``minter``, ``feed``, ``authority`` or ``bootstrap``. Raises KeyError."""
        return {
            "token": self.token,
            "minter": self.minter,
            "feed": self.feed,
            "authority": self.authority,
            "bootstrap": self.bootstrap,
        }[contract]

    def name(self, address: str) -> str | None:
        """Which of the four that speak lies at an address, or lay there, if any."""
        return self.speaking.get(address)

    @cached_property
    def speaking(self) -> dict[str, str]:
        """Names by address of the contracts whose events are read."""
        return self.former | {self.address(name): name for name in SPEAKING}

    def save(self, path: Path) -> None:
        fields = asdict(self)
        del fields["former"]
        body = json.dumps(fields, indent=2, sort_keys=True) + "\n"
        with crash.around("deployment.write"):
            replace(path, body.encode())


def load(path: Path) -> Deployment:
    """Read a record. Raises Misconfigured if there is none, or it is not one."""
    try:
        fields: dict[str, Any] = json.loads(path.read_bytes())
        return Deployment(**{**fields, "attestors": tuple(fields["attestors"])})
    except FileNotFoundError:
        raise Misconfigured("no contracts are deployed for this home yet", "Run `issuer deploy`.") from None
    except (ValueError, TypeError, KeyError) as error:
        raise Misconfigured(f"{path} is not a deployment record: {error}", "Run `issuer deploy` again.") from error
