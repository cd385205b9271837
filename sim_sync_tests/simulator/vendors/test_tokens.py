"""The lives of tokens, against a clock that only the test moves."""

import pytest

from sim_sync.simulator.credentials import TOKEN_MARK
from sim_sync.simulator.vendors.auth import TokenEndpoint


class Hand:
    """A clock's hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hand:
    return Hand()


def test_tokens_differ_and_can_be_recognised(clock: Hand) -> None:
    endpoint = TokenEndpoint(life_seconds=60, clock=clock)
    tokens = [endpoint.issue() for _ in range(3)]
    assert len(set(tokens)) == 3
    assert all(token.startswith(TOKEN_MARK) and endpoint.worth(token) == "ok" for token in tokens)
    assert (endpoint.worth(None), endpoint.worth("x")) == ("missing", "wrong")


def test_a_token_dies_of_age_and_its_own_age_comes_first(clock: Hand) -> None:
    endpoint = TokenEndpoint(life_seconds=60, clock=clock)
    long, short = endpoint.issue(), endpoint.issue(10)
    assert (endpoint.seconds_left(long), endpoint.seconds_left(short)) == (60, 10)
    clock.now = 10
    assert (endpoint.worth(long), endpoint.worth(short)) == ("ok", "wrong")
    clock.now = 60
    assert (endpoint.worth(long), endpoint.seconds_left(long)) == ("wrong", 0)


def test_asking_wears_a_token_not_and_using_does(clock: Hand) -> None:
    endpoint = TokenEndpoint(life_seconds=60, uses=2, clock=clock)
    token = endpoint.issue()
    for _ in range(10):
        assert endpoint.worth(token) == "ok"
    endpoint.spend(token)
    assert endpoint.worth(token) == "ok"
    endpoint.spend(token)
    assert endpoint.worth(token) == "wrong"


def test_an_idle_token_dies_and_use_keeps_it_alive(clock: Hand) -> None:
    endpoint = TokenEndpoint(life_seconds=600, idle_seconds=20, clock=clock)
    used, idle = endpoint.issue(), endpoint.issue()
    for moment in (15, 30, 45):
        clock.now = moment
        endpoint.spend(used)
    assert (endpoint.worth(used), endpoint.worth(idle)) == ("ok", "wrong")


def test_a_desk_may_give_the_same_token_again_while_it_is_good(clock: Hand) -> None:
    endpoint = TokenEndpoint(life_seconds=60, reissue=True, clock=clock)
    token = endpoint.issue()
    assert endpoint.issue() == token
    clock.now = 60
    assert endpoint.issue() != token


def test_expiry_ends_all_tokens_so_far_and_no_later_one(clock: Hand) -> None:
    endpoint = TokenEndpoint(life_seconds=60, reissue=True, clock=clock)
    old = endpoint.issue()
    endpoint.expire()
    new = endpoint.issue()
    assert (endpoint.worth(old), endpoint.worth(new)) == ("wrong", "ok")
