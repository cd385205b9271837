"""The page of a report as a document: what stands in it, and that texts of others stay texts."""

import itertools
from html.parser import HTMLParser

import pytest

from sim_sync.core.session import Event, Release
from sim_sync.core.text import printable
from sim_sync_tests.cli.command_line import CommandLine
from sim_sync_tests.fakes.fleet import a_fleet, a_sim
from sim_sync_tests.fakes.hostile_texts import CONTROLS, FORMULAS, MARKUPS
from sim_sync_tests.report.places import compared, with_inventory

HOSTILE = (*CONTROLS, *FORMULAS, *MARKUPS)


class Document(HTMLParser):
    """What a browser would make of a page: its tags with their attributes, and its text outside of style and script."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def written(command_line: CommandLine, *arguments: str) -> tuple[str, Document]:
    said = command_line.type_in("report", "--output", "-", *arguments)
    assert (said.code, said.err) == (0, "")
    return said.out, Document(said.out)


def test_an_empty_warehouse_has_a_page_too(command_line: CommandLine) -> None:
    with_inventory(command_line, "acme", "zeta")
    _, page = written(command_line)
    assert "Nothing was compared yet" in page.text
    assert "Nothing is known yet of acme and zeta: never walked to the end." in page.text
    assert [line for line in ("None is open.", "No walk in this period.") if line not in page.text] == []


def test_what_was_never_compared_is_not_told_as_zero(command_line: CommandLine) -> None:
    with_inventory(command_line, "acme", "zeta")
    _, page = written(command_line)
    figures = page.text[: page.text.index("SIMs at carriers")]
    assert figures.count("\N{EN DASH}") == 4
    compared(command_line, a_fleet(2), a_fleet(2))
    _, page = written(command_line)
    cells = page.text[page.text.index("acme") :]
    assert "\N{EN DASH}" not in page.text[: page.text.index("SIMs at carriers")]
    assert cells.count("\N{EN DASH}") == 7  # zeta's


def test_without_an_inventory_it_says_that_nothing_is_compared(command_line: CommandLine) -> None:
    command_line.walk(a_sim(1))
    _, page = written(command_line)
    assert "Nothing is compared: no inventory is configured" in page.text


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_texts_of_others_stay_texts(command_line: CommandLine, text: str) -> None:
    with_inventory(command_line, "acme")
    plain, _ = written(command_line)
    tags_without = {tag for tag, _ in Document(plain).tags}
    compared(command_line, [a_sim(1, label=text, rate_plan=text)], [a_sim(1, label="ours"), a_sim(2, label=text)])
    session = command_line.open_session(pages=1, owner="run-2")
    command_line.warehouse.sessions.release(session.claim, Release(Event.GAVE_UP, error=f"HTTP 500: {text}"))
    source, page = written(command_line)
    shown = printable(text)
    assert shown in page.text
    assert not any(char in source for char in map(chr, (*range(9), 11, 12, *range(14, 32), 127, 0x202E, 0x200B)))
    assert {tag for tag, _ in page.tags} - tags_without <= {
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "svg",
        "rect",
    } | {
        *("g", "path", "figure", "figcaption", "details", "summary", "defs", "title", "text", "div", "label", "input"),
        *("output", "strong", "span", "code", "ul", "li", "p", "h3"),
    }
    assert len(page.named("script")) == len(page.named("style")) == 1
    events = [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert events == []


def test_nothing_is_loaded_from_anywhere(command_line: CommandLine) -> None:
    with_inventory(command_line, "acme")
    compared(command_line, a_fleet(30), a_fleet(20))
    _, page = written(command_line)
    sources = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in {"src", "href", "xlink:href", "action", "data", "srcset"} and value and not value.startswith("#")
    ]
    assert sources == ["data:,"]
    (policy,) = [one["content"] or "" for one in page.named("meta") if one.get("http-equiv")]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_every_heading_follows_from_the_one_above_and_every_link_leads_somewhere(command_line: CommandLine) -> None:
    with_inventory(command_line, "acme")
    compared(command_line, a_fleet(3), a_fleet(2))
    _, page = written(command_line)
    levels = [int(tag[1]) for tag, _ in page.tags if tag in {"h1", "h2", "h3", "h4"}]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    named = {one["aria-labelledby"] for _, one in page.tags if one.get("aria-labelledby")}
    links = {(one["href"] or "")[1:] for one in page.named("a")}
    labels = {one["for"] for one in page.named("label")}
    assert named | links | labels <= set(ids)


def test_a_long_list_shows_the_worst_and_names_the_command_that_has_all(command_line: CommandLine) -> None:
    with_inventory(command_line, "acme")
    compared(command_line, a_fleet(700), [])
    _, page = written(command_line)
    assert "The worst 500 of 700;" in page.text
    assert "sim-sync discrepancies --format csv --output FILE" in page.text
    rows = [one for one in page.named("th") if one.get("data-label") == "ICCID"]
    assert len(rows) == 500


def test_fifty_carriers_have_fifty_rows(command_line: CommandLine) -> None:
    names = [f"carrier-{number:02}" for number in range(50)]
    with_inventory(command_line, *names)
    for place, name in enumerate(names[:40]):
        compared(command_line, a_fleet(2 + place % 3), a_fleet(2), name)
    _, page = written(command_line)
    assert [name for name in names if name not in page.text] == []
    assert "Nothing is known yet of carrier-40, carrier-41 and 8 others: never walked to the end." in page.text


def test_one_carrier_alone(command_line: CommandLine) -> None:
    with_inventory(command_line, "acme", "zeta")
    compared(command_line, a_fleet(3), a_fleet(2))
    _, page = written(command_line, "--carrier", "acme")
    assert "zeta" not in page.text
    assert "1 discrepancy is open at 1 carrier: 1 high." in page.text
