"""Where the list of records stands in an answer. An answer without its list is refused: it is not an empty page."""

from collections.abc import Callable, Mapping
from typing import Any

from sim_sync.carriers.json_bodies import is_plain, list_lookup_of, lookup_of
from sim_sync.carriers.messages import Response
from sim_sync.core.errors import UnexpectedResponse


def list_at(path: str, *, null_is_empty: bool = False) -> Callable[[Response], list[Any]]:
    """Return the function that finds the list at a path of the body.

    With `null_is_empty`, null in its place is an empty list, and so is an answer without a body (204). A list that is
    not there at all is none, as far as that can be told: behind an expression, null and nothing look the same.
    """
    look_up = list_lookup_of(path)

    def records(response: Response) -> list[Any]:
        found = look_up(response.body)
        if found is None and null_is_empty and _holds_null(response.body, path):
            return []
        if not isinstance(found, list):
            raise UnexpectedResponse(
                f"expected a list under {path!r} in the answer, found {_kind(found)}: is `base_url` that of this API?"
            )
        return found

    return records


def array_or_nothing(response: Response) -> list[Any]:
    """Return the body, which is the list itself; null and no body at all are an empty one."""
    return [] if response.body is None else array_in_body(response)


def array_in_body(response: Response) -> list[Any]:
    """Return the body, which is the list itself."""
    if not isinstance(response.body, list):
        raise UnexpectedResponse(
            f"expected a list as the whole answer, found {_kind(response.body)}: is `base_url` that of this API?"
        )
    return response.body


def _holds_null(body: Any, path: str) -> bool:
    if body is None or not is_plain(path):
        return body is None
    holder, _, key = path.rpartition(".")
    found = lookup_of(holder)(body) if holder else body
    return isinstance(found, Mapping) and key in found


def _kind(found: Any) -> str:
    return "nothing" if found is None else "an object" if isinstance(found, dict) else f"a {type(found).__name__}"
