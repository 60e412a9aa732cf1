"""The audit log: every decision as a record in an append-only tree, signed, and published outside the database.

A record is written in the unit of work it tells of; the integrator gives it its place; the folder shows it.
"""

from issuer.audit.personal import commit_personal, erase
from issuer.audit.record import append, append_all, shorten

__all__ = ["append", "append_all", "commit_personal", "erase", "shorten"]
