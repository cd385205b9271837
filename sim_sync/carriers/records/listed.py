"""Where the list of records stands in an answer. An answer without its list is refused: it is not an empty page."""

from collections.abc import Callable
from typing import Any

from sim_sync.carriers.messages import Answer
from sim_sync.carriers.paths import lookup_of
from sim_sync.core.errors import UnexpectedAnswer


def list_at(path: str) -> Callable[[Answer], list[Any]]:
    """Return the function that finds the list at a path of the body."""
    look_up = lookup_of(path)

    def records(answer: Answer) -> list[Any]:
        found = look_up(answer.body)
        if not isinstance(found, list):
            raise UnexpectedAnswer(
                f"expected a list under {path!r} in the answer, found {_kind(found)}: is `base_url` that of this API?"
            )
        return found

    return records


def array_in_body(answer: Answer) -> list[Any]:
    """Return the body, which is the list itself."""
    if not isinstance(answer.body, list):
        raise UnexpectedAnswer(
            f"expected a list as the whole answer, found {_kind(answer.body)}: is `base_url` that of this API?"
        )
    return answer.body


def _kind(found: Any) -> str:
    return "nothing" if found is None else "an object" if isinstance(found, dict) else f"a {type(found).__name__}"
