"""Numbers of things in sentences."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return `1 page`, `2 pages`, `1,345 pages`; `plural` where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def percent_text(percent: float) -> str:
    """Return `62.9 %` or `58.0 %`: one form everywhere, so that columns stand still."""
    return f"{percent:.1f} %"
