"""How `carriers.yaml` says where something stands: a JMESPath in the body, or `{header: NAME}`."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from sim_sync.carriers.json_bodies import BadPath, lookup_of
from sim_sync.carriers.messages import Response
from sim_sync.carriers.pagination import InBody, InHeader, ResponseField
from sim_sync.carriers.pagination.rule import flag
from sim_sync.carriers.settings import Settings, Unfit


def _path(text: str) -> str:
    try:
        lookup_of(text)
    except BadPath as bad:
        raise Unfit("a JMESPath expression such as meta.total", f" ({bad})") from None
    return text


#: A JMESPath expression that compiles.
Path = Annotated[str, Field(min_length=1), AfterValidator(_path)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]


class HeaderField(Settings):
    """A response header."""

    header: HeaderName


def _kind(value: Any) -> str:
    return "header" if isinstance(value, (dict, HeaderField)) else "path"


#: A path, or a header.
DeclaredField: TypeAlias = Annotated[
    Annotated[Path, Tag("path")] | Annotated[HeaderField, Tag("header")], Discriminator(_kind)
]


def with_a_type(*names: str) -> BeforeValidator:
    """Return what refuses a declaration without one of these types, in words that tell which there are."""

    def refuse_others(value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("type") not in names:
            found = value.get("type")
            shown = f", not {found}" if isinstance(found, str) else ""
            raise Unfit(f"a type: {', '.join(names[:-1])} or {names[-1]}", shown)
        return value

    return BeforeValidator(refuse_others)


def place_of(declared: str | HeaderField | None) -> ResponseField | None:
    """Return the place that is declared."""
    if declared is None:
        return None
    return InHeader(declared.header) if isinstance(declared, HeaderField) else InBody(declared)


class FlagThere:
    """Says whether a flag is set; where it does not stand, it is not."""

    def __init__(self, path: str) -> None:
        self._place = InBody(path)

    def __call__(self, response: Response) -> bool:
        """Return whether the answer sets it."""
        return flag(self._place, response) is True
