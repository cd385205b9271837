"""Reading the parameters of a request as a strict carrier does: what is unknown or out of bounds is refused."""

from collections.abc import Collection, Mapping


class BadParameter(ValueError):
    """A parameter of the request is not what the carrier takes; becomes a 4xx with this text in the vendor's shape."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def refuse_unknown(given: Collection[str], known: Collection[str]) -> None:
    """Refuse a parameter that the carrier's documents do not name.

    Raises:
        BadParameter: there is one.
    """
    if surplus := sorted(set(given) - set(known)):
        raise BadParameter(f"unknown parameter {', '.join(surplus)}; known are {', '.join(sorted(known))}")


def parse_number(query: Mapping[str, str], name: str, *, default: int, lowest: int, highest: int) -> int:
    """Read a whole number within bounds.

    Raises:
        BadParameter: something else is given.
    """
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and lowest <= int(text) <= highest):
        raise BadParameter(f"{name} must be an integer from {lowest} to {highest}")
    return int(text)
