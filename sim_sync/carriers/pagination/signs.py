"""How a carrier that is declared in `carriers.yaml` ends its list, beside what its pagination reads (`end_on`)."""

from collections.abc import Callable
from dataclasses import dataclass

from sim_sync.carriers.messages import Response


def _never(_response: Response) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSigns:
    """What ends a list on any page but the first.

    `says` finds the end in an answer, an error's too. `empty_page`: a page without records is the last one.
    `repeated_page`: so is one that is the page before, or that leads to itself.
    """

    says: Callable[[Response], bool] = _never
    empty_page: bool = False
    repeated_page: bool = False
