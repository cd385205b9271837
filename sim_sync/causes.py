"""The errors behind an error."""

from collections.abc import Iterator


def with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those behind it, each once: what it was raised from, or else what was being handled."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
