"""How fast a carrier may be asked: halved when it says "slower", slowly back to full with every good answer. Pure."""

from dataclasses import dataclass

_SLOWED_SHARE = 0.5
#: Twenty-five good answers make up for one halving.
_RECOVERED_SHARE = 0.02
#: So often halved, and no further: below it the waits that the carrier names do the rest.
_LEAST_SHARE = 1 / 64


@dataclass(frozen=True, slots=True)
class AdaptiveRate:
    """Requests per second after a carrier said "slower", and what they recover to; None is the full pace."""

    requests_per_second: float | None = None
    recovers_to: float | None = None

    def slowed(self, full: float | None, observed: float | None) -> "AdaptiveRate":
        """Return half of the pace.

        `full` is the limit of the settings. `observed` is how fast the carrier really was asked: where nothing was
        limited, or the limit was not reached, only half of that is slower.
        """
        known = [rate for rate in (self.requests_per_second, full, observed) if rate is not None]
        recovers_to = self.recovers_to or full or observed
        if not known or recovers_to is None:
            return self
        return AdaptiveRate(max(min(known) * _SLOWED_SHARE, recovers_to * _LEAST_SHARE), recovers_to)

    def recovered(self) -> "AdaptiveRate":
        """Return the pace after one more good answer: a fixed share of the full pace is added."""
        if self.requests_per_second is None or self.recovers_to is None:
            return self
        faster = self.requests_per_second + self.recovers_to * _RECOVERED_SHARE
        return AdaptiveRate() if faster >= self.recovers_to else AdaptiveRate(faster, self.recovers_to)

    def limit(self, full: float | None) -> float | None:
        """Return the requests per second that hold now; None is no limit."""
        return full if self.requests_per_second is None else self.requests_per_second
