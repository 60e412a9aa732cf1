"""Typed errors: a stable code, one sentence that says what is wrong, one that says what to do.

A raised error means that nothing changed. The same three strings appear in the command line, the API and the log.
"""

from typing import ClassVar


class IssuerError(Exception):
    """Something was refused, and nothing changed."""

    code: ClassVar[str] = "error"
    remedy: ClassVar[str] = "See the documentation."

    def __init__(self, what: str, do: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.do = do or self.remedy


class InvalidAmount(IssuerError):
    code = "invalid-amount"
    remedy = "Write a positive amount such as 1000.00, with at most six decimals for tokens and two for bank money."


class InvalidInput(IssuerError):
    code = "invalid-input"
    remedy = "Correct the value and try again."


class NotFound(IssuerError):
    code = "not-found"
    remedy = "List what exists with the matching list command."


class Refused(IssuerError):
    """A rule of the issuer refuses the act."""

    code = "refused"
    remedy = "See the reason; the same request is refused again until its cause is gone."


class Conflict(IssuerError):
    """An idempotency key, a nonce or a state is already bound to something else."""

    code = "conflict"
    remedy = "Look at what exists before trying again."


class Locked(IssuerError):
    code = "locked"
    remedy = "See `issuer lock list`; the lock says why it was set and what lifts it."


class Misconfigured(IssuerError):
    code = "misconfigured"
    remedy = "Correct the settings; `.env.example` explains each one."


class MalformedDocument(IssuerError):
    """A bank document or a record cannot be read, so nothing of it was taken."""

    code = "malformed-document"
    remedy = "Ask the sender for the document again; the file is kept as it came."


class Unreachable(IssuerError):
    """A door (node, bank folder, database) gave no answer to go by; nothing was decided from its silence."""

    code = "unreachable"
    remedy = "Check that the service is running and that its address is right, then try again."


class BrokenInvariant(IssuerError):
    """Books, chain or log contradict themselves: never expected, always loud."""

    code = "broken-invariant"
    remedy = "Stop, keep the data as it is, and look at what `issuer reconcile` and `issuer audit verify` say."
