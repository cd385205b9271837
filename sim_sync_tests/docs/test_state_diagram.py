from sim_sync_tests.docs.state_diagram import DOCUMENT, document_with, state_diagram


def test_the_diagram_in_the_document_is_the_transition_table() -> None:
    """A changed table shows here; `python -m sim_sync_tests.docs.state_diagram` brings the document up to date."""
    assert DOCUMENT.read_text(encoding="utf-8") == document_with(state_diagram())
