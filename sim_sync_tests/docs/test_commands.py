"""The reference of the commands is what the program says of itself."""

from sim_sync_tests.docs.commands import PAGE, commands_page


def test_the_page_is_what_the_program_says_of_itself() -> None:
    assert PAGE.read_text(encoding="utf-8") == commands_page(), "run: python -m sim_sync_tests.docs.commands"


def test_every_command_says_what_it_does() -> None:
    sections = commands_page().split("\n## ")[1:]
    assert len(sections) >= 10
    assert [section.splitlines()[0] for section in sections if not section.splitlines()[2].strip()] == []
