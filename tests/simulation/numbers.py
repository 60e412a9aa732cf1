"""The numbers of audit records, as PostgreSQL may give them: taken when a record is written, seen when it is committed.

SQLite commits its units of work one after another, and so in the order of their numbers. Here one that began earlier
may commit later: it keeps the number that it took, and those that overtook it have higher ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_INSERT = "INSERT INTO audit_record (body, subject)"
_NUMBERED = "INSERT INTO audit_record (id, body, subject)"


class Numbers:
    def __init__(self) -> None:
        self.taken: int | None = None  # by a unit of work that is not committed yet
        self._overtaken = self._late = False

    def take(self, number: int) -> None:
        """Let a unit of work begin whose record has this number, the next that is free."""
        self.taken, self._overtaken = number, False

    @contextmanager
    def late(self) -> Iterator[None]:
        """That unit of work writes now, and commits or gives up."""
        self._late = self._overtaken
        try:
            yield
        finally:
            self.taken, self._late = None, False

    def give(
        self, _connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool
    ) -> tuple[str, Any]:
        """SQLAlchemy's ``before_cursor_execute``: write the number into the insert where it is not the next one."""
        if self.taken is None or many or not statement.startswith(_INSERT):
            return statement, values
        if self._late:
            number, self._late = self.taken, False
        elif not self._overtaken:
            number, self._overtaken = self.taken + 1, True
        else:
            return statement, values
        return statement.replace(_INSERT, _NUMBERED).replace("VALUES (", "VALUES (?, "), (number, *values)
