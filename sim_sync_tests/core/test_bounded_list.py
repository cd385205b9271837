import json

from hypothesis import example, given
from hypothesis import strategies as st

from sim_sync.core.text import bounded_list


@given(st.lists(st.text(max_size=300), max_size=40), st.integers(60, 2000))
@example(["ü" * 3000], 200)
@example(["a" * 500, "b"], 200)
def test_a_list_never_grows_too_long_and_is_whole_where_it_fits(lines: list[str], longest: int) -> None:
    told = bounded_list(lines, "carrier", longest)

    assert len(json.dumps(told)) - 2 <= longest
    whole = "; ".join(lines)
    assert (told == whole) == (len(json.dumps(whole)) - 2 <= longest)


def test_what_is_left_out_is_counted() -> None:
    lines = [f"carrier-{number:04}: at work" for number in range(1500)]

    told = bounded_list(lines, "carrier", 100)

    assert told == "carrier-0000: at work; carrier-0001: at work; carrier-0002: at work; and 1,497 more carriers"


def test_one_long_line_does_not_take_the_place_of_all_others() -> None:
    told = bounded_list(["a: " + "x" * 5000, "b: at work"], "carrier", 300)

    assert told.startswith("a: xxx")
    assert told.endswith("x...; b: at work")
