import re

import pytest

from sim_sync.core import errors
from sim_sync.core.errors import (
    ConfigError,
    ParkRequired,
    Problem,
    SimSyncError,
    Throttled,
    TransientError,
    WaitCause,
)


def drawn_tree() -> dict[str, str | None]:
    """Read the parent of each error from the drawing on top of the module."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^([│├└─ ]*)([A-Z]\w+)(?:\s{2,}.*)?$", line):
            depth = len(found[1]) // 4
            above[depth:] = [found[2]]
            parents[found[2]] = above[depth - 1] if depth else None
    return parents


def real_tree() -> dict[str, str | None]:
    def below(parent: type[SimSyncError]) -> dict[str, str | None]:
        tree: dict[str, str | None] = {}
        for child in parent.__subclasses__():
            # One with two parents is drawn below the first.
            if child.__module__ == errors.__name__ and child.__bases__[0] is parent:
                tree |= {child.__name__: parent.__name__} | below(child)
        return tree

    return {"SimSyncError": None} | below(SimSyncError)


def test_the_tree_drawn_on_top_of_the_module_is_the_real_one() -> None:
    assert drawn_tree() == real_tree()


def test_every_error_says_who_should_do_what_about_it() -> None:
    kinds = {name: getattr(errors, name) for name in real_tree()}
    assert [name for name, kind in kinds.items() if not kind.__doc__] == []


def test_a_transient_error_carries_the_wait_that_the_other_side_asked_for() -> None:
    assert Throttled("HTTP 429", retry_after_seconds=7.0).retry_after_seconds == 7.0
    assert TransientError("no answer").retry_after_seconds is None


def test_a_parking_error_says_how_long_to_wait() -> None:
    error = ParkRequired("Retry-After: 7200", wait_seconds=7200.0)
    assert (str(error), error.wait_seconds) == ("Retry-After: 7200", 7200.0)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "carriers.yaml: key0: expected text, found 0"),
        (
            3,
            """the configuration has 3 problems:
  carriers.yaml: key0: expected text, found 0
  carriers.yaml: key1: expected text, found 1
  carriers.yaml: key2: expected text, found 2""",
        ),
    ],
)
def test_a_config_error_lists_all_problems_at_once(count: int, text: str) -> None:
    problems = [Problem("carriers.yaml", f"key{number}", "text", str(number)) for number in range(count)]
    error = ConfigError(problems)
    assert str(error) == text
    assert error.problems == tuple(problems)


def test_an_error_with_its_place_is_another_one_with_the_same_facts() -> None:
    raised = ParkRequired("Retry-After: 7200", wait_seconds=7200.0, cause=WaitCause.THROTTLED)
    placed = raised.after(retries=3, throttled_seconds=1.5).with_context("page 2")
    assert (str(raised), raised.retries, raised.throttled_seconds) == ("Retry-After: 7200", 0, 0.0)
    assert (str(placed), placed.retries, placed.throttled_seconds) == ("page 2: Retry-After: 7200", 3, 1.5)
    assert (placed.wait_seconds, placed.cause, placed.is_outage) == (7200.0, WaitCause.THROTTLED, False)


def test_an_error_with_another_text_is_of_the_same_kind_and_shows_where_it_was_raised() -> None:
    with pytest.raises(Throttled) as caught:
        raise Throttled("with a secret", retry_after_seconds=7.0)
    told = caught.value.saying("without one")
    assert (type(told), str(told), told.retry_after_seconds) == (Throttled, "without one", 7.0)
    assert told.__traceback__ is caught.value.__traceback__
