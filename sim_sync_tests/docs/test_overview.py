"""The overview answers where something is: each file is there, and the names are defined in it."""

import re
from pathlib import Path

import pytest

from sim_sync_tests.docs.documents import PROJECT

OVERVIEW = (PROJECT / "docs" / "overview.md").read_text(encoding="utf-8")
README = (PROJECT / "README.md").read_text(encoding="utf-8")
_ANSWERS = re.findall(r"^\| (.+\?) \| (.+) \|$", OVERVIEW, re.MULTILINE)
_PLACE = re.compile(r"`([\w/]+\.py)`: ((?:`\w+`(?:, )?)+)")


def places(answer: str) -> list[tuple[str, str]]:
    """Return the files and names of an answer."""
    return [(file, name) for file, names in _PLACE.findall(answer) for name in re.findall(r"\w+", names)]


@pytest.mark.parametrize(("question", "answer"), _ANSWERS)
def test_what_is_named_is_where_it_is_said_to_be(question: str, answer: str) -> None:
    assert places(answer), question
    for file, name in places(answer):
        source = (PROJECT / "sim_sync" / file).read_text(encoding="utf-8")
        assert re.search(rf"^\s*(?:def {name}\b|class {name}\b|{name}\b.* = )", source, re.MULTILINE), (file, name)


def test_few_files_answer_the_twelve_questions() -> None:
    opened = [{file for file, _ in places(answer)} for _, answer in _ANSWERS]
    assert len(opened) == 12
    assert sum(map(len, opened)) <= 18


def test_the_readme_leads_to_each_of_these_files() -> None:
    table = README.partition("## Where does X happen")[2].partition("## Read on")[0]
    beside_a_sim = {"carriers/records/record_map.py", "carriers/records/reading.py", "warehouse/tables.py"}
    opened = {file for _, answer in _ANSWERS for file, _ in places(answer)} - beside_a_sim
    assert sorted(file for file in opened if f"`sim_sync/{file}`" not in table) == []
    sims = (PROJECT / "sim_sync" / "core" / "sims.py").read_text(encoding="utf-8")
    assert sorted(file for file in beside_a_sim if file not in sims) == []


def test_every_module_on_the_way_of_a_page_is_there() -> None:
    way = OVERVIEW.partition("## The way of one page")[2].partition("##")[0]
    named = re.findall(r"`([\w/]+(?:\.py|/records))`", way)
    assert named
    assert [path for path in named if not (PROJECT / "sim_sync" / path).exists()] == []


#: A key and two files that are called as if they were in a package.
_NO_MODULES = {"warehouse.url", "carriers.yaml", "defs.yaml"}
_SOURCE = re.compile(r"`((?:\w+/)+\w+\.py)`")
_MODULE = re.compile(r"`((?:carriers|cli|core|defs|demo|selftest|simulator|terminal|warehouse|worker)\.[a-z_]+)`")


def test_modules_that_comments_name_exist() -> None:
    """A comment that sends its reader to a module that was merged away sends nowhere."""
    found = {
        f"{path.relative_to(PROJECT)}: {name}"
        for path in (PROJECT / "sim_sync").rglob("*.py")
        for name in _MODULE.findall(path.read_text(encoding="utf-8"))
        if name not in _NO_MODULES and not _is_module(PROJECT / "sim_sync" / name.replace(".", "/"))
    }
    assert found == set()


def _is_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or path.is_dir()


def test_source_files_that_documents_name_exist() -> None:
    """A decision that was overturned may speak of what it had."""
    documents = [path.read_text(encoding="utf-8") for path in (*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md"))]
    named = {name for text in documents if "**Overturned" not in text for name in _SOURCE.findall(text)}
    assert named
    assert {name for name in named if not any((PROJECT / top / name).is_file() for top in ("", "sim_sync"))} == set()
