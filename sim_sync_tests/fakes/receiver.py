"""A receiver of alerts in this process: it remembers what it was told, and is dead when a test says so."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sim_sync.alerts.notices import Notice
from sim_sync.core.errors import DeliveryFailed


@dataclass
class RememberingReceiver:
    """`told` are the messages in their order; `failure` is raised in place of taking one."""

    name: str = "webhook"
    told: list[Notice] = field(default_factory=list)
    failure: DeliveryFailed | None = None
    attempts: int = 0
    #: What happens after a message was taken and before the sender knows.
    after_taking: Callable[[], object] = lambda: None

    def send(self, notice: Notice) -> None:
        """Take a message, or fail."""
        self.attempts += 1
        if self.failure is not None:
            raise self.failure
        self.told.append(notice)
        self.after_taking()

    @property
    def events(self) -> list[tuple[str, str]]:
        """What was told, as kinds and events."""
        return [(notice.kind, notice.event) for notice in self.told]
