"""How a carrier is asked for one SIM, and what its answer says: found, not there, or nothing that can be relied on.

Absence is what the vendor's own sign for it says, and nothing else: no status of its own servers, of credentials or of
speed, and no answer about another SIM.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sim_sync.carriers.dialect import ABOUT_WHO_OR_WHEN, Sign
from sim_sync.carriers.json_bodies import lookup_of
from sim_sync.carriers.messages import Request, Response
from sim_sync.core.errors import UnexpectedResponse
from sim_sync.core.lookups import AskedSim, is_the_one
from sim_sync.core.sims import Sim

#: What stands for a SIM in a path leads up in it, whatever it is quoted as.
_NO_SEGMENTS = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True, kw_only=True)
class PointLookup:
    """The call that asks for one SIM.

    `request` returns None for a SIM that lacks what the call needs. `records` returns the records in an answer, or
    raises `UnexpectedResponse`. `not_there` is the vendor's own sign for a SIM that it does not have.
    """

    request: Callable[[AskedSim], Request | None]
    records: Callable[[Response], list[Any]]
    not_there: Sign

    def says_not_there(self, response: Response) -> bool:
        """Return whether an answer says that the SIM is not there."""
        can_mean_it = response.status < 500 and response.status not in ABOUT_WHO_OR_WHEN
        return can_mean_it and self.not_there(response)


def get_by_id(path: str) -> Callable[[AskedSim], Request | None]:
    """Return what asks by the carrier's own id: `path` and the id behind it."""
    return lambda asked: _get(path, asked.sim_id)


def get_by_iccid(path: str) -> Callable[[AskedSim], Request | None]:
    """Return what asks by the ICCID as the carrier sends it: `path` and the ICCID behind it."""
    return lambda asked: _get(path, iccid_of(asked))


def iccid_of(asked: AskedSim) -> str | None:
    """Return the ICCID in the form in which the carrier last sent it."""
    return asked.iccid_raw or asked.iccid


def path_segment(text: str | None) -> str | None:
    """Return an id as one segment of a path; None where there is none, or where it would lead elsewhere."""
    return None if text is None or text in _NO_SEGMENTS else quote(text, safe="")


def _get(path: str, name: str | None) -> Request | None:
    segment = path_segment(name)
    return None if segment is None else Request(path=f"{path}/{segment}")


def object_in_body(response: Response) -> list[Any]:
    """Return the one record that the whole answer is."""
    return one_record(response.body)


def object_at(path: str) -> Callable[[Response], list[Any]]:
    """Return what finds the one record at a path of the body."""
    look_up = lookup_of(path)
    return lambda response: one_record(look_up(response.body), path)


def one_record(found: Any, path: str | None = None) -> list[Any]:
    """Return the one record that was found at a path of the body, or as the whole answer.

    Raises:
        UnexpectedResponse: it is none.
    """
    if not isinstance(found, dict):
        kind = "nothing" if found is None else type(found).__name__
        place = "the whole answer" if path is None else f"{path!r} in the answer"
        raise UnexpectedResponse(f"expected a SIM as {place}, found {kind}")
    return [found]


def answered_with(status: int, says: Callable[[Mapping[str, Any]], bool] = lambda _body: True) -> Sign:
    """Say yes to a status whose body is a JSON object of this kind: a gateway's own page is none."""
    return lambda response: response.status == status and isinstance(response.body, dict) and says(response.body)


def the_one(asked: AskedSim, sims: Sequence[Sim]) -> Sim:
    """Return the SIM that was asked for.

    Raises:
        UnexpectedResponse: it is not among those that came.
    """
    found = [sim for sim in sims if is_the_one(asked, sim)]
    if len(found) != 1:
        came = "no SIM" if not sims else "another SIM" if not found else "the same SIM several times"
        raise UnexpectedResponse(f"expected the SIM that was asked for, found {came}")
    return found[0]
