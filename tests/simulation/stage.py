"""Everything that a run starts from, made once for a process: homes, keys, contracts, customers, an empty database.

A run begins with a copy of the homes and the chain taken back to where it stood, so that no run sees another.
"""

from issuer.chain.keystore import Job
from issuer.chain.signer import LocalSigner


class Keys:
    """The keys of a home, always the same ones (`issuer.chain.signer.Keys`)."""

    def __init__(self) -> None:
        self._signers = {job.value: LocalSigner(bytes([place]) * 32) for place, job in enumerate(Job, start=1)}

    def address(self, name: str) -> str:
        return self._signers[name].address

    def signer(self, name: str) -> LocalSigner:
        return self._signers[name]
