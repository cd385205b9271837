"""Every error of sim_sync, grouped by what the reader should do. Nothing else raises its own kind.

SimSyncError
├── TransientError            wait and try again; nobody needs to know
│   ├── Throttled             the carrier said: slower
│   ├── CarrierUnavailable    no answer, or not a whole one
│   ├── WarehouseUnavailable  the database did not take the transaction
│   │   └── WarehouseFull     there is no room for it: somebody has to make some
│   ├── NoRoomLeft            a file system is full: somebody has to make room on it
│   ├── InventoryUnavailable  our own list cannot be read right now
│   ├── DeliveryFailed        a receiver of alerts did not take one
│   └── ExportUnavailable     where the export goes to does not take it right now
├── ParkRequired              wait longer than a worker should sleep: free the worker
├── CarrierError              stop this carrier; somebody has to look
│   ├── AuthenticationFailed  the carrier refused our credentials
│   ├── InsecureConnection    the server does not prove who it is, or TLS cannot be agreed on
│   ├── UnexpectedResponse    an answer its documentation does not know
│   ├── ForeignOrigin         a server-supplied URL leads to another host
│   ├── CursorRejected        the carrier no longer takes this cursor
│   ├── CursorRepeated        the carrier loops
│   ├── EndlessList           the walk has reached its bound without an end
│   └── TooManyQuarantined    so many unreadable records that it is no accident
├── OwnershipError            this worker must not write; another one, or a person, decides
│   ├── Fenced                somebody took the session over
│   └── StopRequested         a person or the machine asked the sync to stop
├── InputError                fix what you gave us; nothing was written
│   ├── ConfigError           `carriers.yaml`, the environment or the command line
│   ├── ExportRefused         the export cannot go where it is to go
│   └── InventoryError        our own list of SIMs cannot be read
│       └── InventoryHeld     it has become much shorter: a person has to accept it
└── InternalError             a bug: please report it
    ├── IllegalTransition     a session state was left by a way that does not exist
    └── WriteRefused          the database does not take what it was given
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from sim_sync.core.text import printable, printable_lines

# Names that have changed, for connectors of other packages: the old one works for a release, and warns.


def renamed_names(module: str, old_names: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module in which things have new names.

    Args:
        module: its `__name__`.
        old_names: what each old name stands for now.
    """

    def find(name: str) -> Any:
        if name not in old_names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        new = getattr(old_names[name], "__name__", "ResponseField")
        warnings.warn(f"{module}.{name} is called {new} now", DeprecationWarning, stacklevel=2)
        return old_names[name]

    return find


class SimSyncError(Exception):
    """The root of all errors that sim_sync raises on purpose. Its text is meant for people.

    Whatever a message quotes, its text is printable: it goes to terminals, logs, Dagster and the warehouse.
    """

    def __str__(self) -> str:
        """Return the message on one line, nothing in it that a terminal acts on."""
        return printable(super().__str__())

    def saying(self, text: str) -> Self:
        """Return this error with another text; one that was raised stays what it is."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.args = (text, *self.args[1:])
        return other.with_traceback(self.__traceback__)

    def with_context(self, where: str) -> Self:
        """Return this error with the place where it happened before its text."""
        return self.saying(f"{where}: {self}")


class TransientError(SimSyncError):
    """A transient failure: wait and try again."""

    #: The shortest wait the other side asked for, in seconds; None where it named none.
    retry_after_seconds: float | None = None

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds

    def waiting_for(self, seconds: float) -> Self:
        """Return this error with another wait that the other side asked for: a part of it has passed."""
        other = self.saying(str(self))
        other.retry_after_seconds = seconds
        return other


class Throttled(TransientError):
    """The carrier asked us to slow down (429, or its own dialect of it)."""


class CarrierUnavailable(TransientError):
    """The carrier gave no answer, a 5xx, or an answer that was cut off."""


class WarehouseUnavailable(TransientError):
    """The database was locked, full, restarted or out of reach; the transaction did not happen."""


class NoRoomLeft(TransientError):
    """The file system of our own files is full: once there is room again, everything continues by itself."""


class WarehouseFull(WarehouseUnavailable, NoRoomLeft):
    """The database has no room left for the transaction, which did not happen."""


class InventoryUnavailable(TransientError):
    """Our own list was written while it was read, or its database was out of reach; nothing was written."""


class DeliveryFailed(TransientError):
    """A receiver of alerts did not take one; it is kept and tried again."""


class ExportUnavailable(TransientError):
    """A storage did not take the export; the last one is still there."""


class WaitCause(StrEnum):
    """Why a session has to wait: what people are told before everything else."""

    THROTTLED = "throttled"
    CARRIER_DOWN = "carrier down"
    QUOTA_USED_UP = "quota used up"
    NO_ROOM_LEFT = "no space left"


class ParkRequired(SimSyncError):
    """The wait is longer than a worker should sleep.

    `is_outage`: nobody named the wait; it grows from one such wait to the next. `retries` and `throttled_seconds` are
    what the page has cost until then.
    """

    def __init__(
        self,
        message: str,
        *,
        wait_seconds: float,
        is_outage: bool = False,
        cause: WaitCause = WaitCause.CARRIER_DOWN,
        retries: int = 0,
        throttled_seconds: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds
        self.is_outage = is_outage
        self.cause = cause
        self.retries = retries
        self.throttled_seconds = throttled_seconds

    def after(self, *, retries: int, throttled_seconds: float) -> "ParkRequired":
        """Return this error with what the page has cost until then."""
        other = self.waiting_for(self.wait_seconds)
        other.retries, other.throttled_seconds = retries, throttled_seconds
        return other

    def waiting_for(self, seconds: float) -> "ParkRequired":
        """Return this error with another wait: a part of it has passed."""
        return ParkRequired(
            str(self),
            wait_seconds=seconds,
            is_outage=self.is_outage,
            cause=self.cause,
            retries=self.retries,
            throttled_seconds=self.throttled_seconds,
        )


class CarrierError(SimSyncError):
    """A permanent problem of one carrier: its sync stops, the others continue."""


class AuthenticationFailed(CarrierError):
    """The carrier refused our credentials."""


class InsecureConnection(CarrierError):
    """The server did not prove who it is, or no TLS could be agreed on: waiting does not help."""


class UnexpectedResponse(CarrierError):
    """The carrier answered something that its documentation does not know."""


class ForeignOrigin(CarrierError):
    """A URL supplied by the server leads to an origin that is not configured; no request was sent."""


class CursorRejected(CarrierError):
    """The carrier no longer accepts a cursor that it gave us."""


class CursorRepeated(CarrierError):
    """The carrier handed out a cursor that this walk has already used: it would loop forever."""


class EndlessList(CarrierError):
    """The walk has reached a bound, and the carrier still names a next page."""


class TooManyQuarantined(CarrierError):
    """More records were unreadable than `quarantine.max_percent` allows."""


class OwnershipError(SimSyncError):
    """This worker no longer decides about the session and has to stop writing."""


class Fenced(OwnershipError):
    """Somebody took the session over: this worker's fence is no longer the highest."""


class StopRequested(OwnershipError):
    """A wait was cut short because somebody asked the sync to stop."""


class InputError(SimSyncError):
    """What we were given cannot be used; nothing was written."""


class ExportRefused(InputError):
    """The export cannot be written where it is to go: a path, a permission, a credential or a package is wrong."""


class InventoryError(InputError):
    """Our own list of SIMs cannot be read. A failed read is not an empty list."""


class InventoryHeld(InventoryError):
    """Our own list of SIMs has suddenly become much shorter, or empty: a person decides whether that is true."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to fix in the configuration: where it stands, what was expected, what was found.

    `sentence` says the last two in its own words where "expected ..., found ..." is a riddle; `key` may be empty.
    """

    where: str
    key: str
    expected: str
    found: str
    sentence: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: {self.key}" if self.key else self.where
        return printable(f"{place}: {self.sentence or f'expected {self.expected}, found {self.found}'}")


class ConfigError(InputError):
    """The configuration has problems; all of them are listed, none is fixed by guessing."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        told = list(map(str, self.problems))
        if len(told) > 1:
            told.insert(0, f"the configuration has {len(told)} problems:")
        super().__init__("\n  ".join(told))

    def __str__(self) -> str:
        """Return the only problem, or a head and one line a problem."""
        return printable_lines(super(SimSyncError, self).__str__())


class InternalError(SimSyncError):
    """A bug of sim_sync."""


class IllegalTransition(InternalError):
    """A session was asked to change its state in a way that the transition table does not have."""


class WriteRefused(InternalError):
    """The database does not take a statement, or a value in it; the text repeats neither."""


__getattr__ = renamed_names(__name__, {"UnexpectedAnswer": UnexpectedResponse})
