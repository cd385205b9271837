"""The pictures of the documents: each is taken by `make pictures`, and each is shown somewhere."""

import re

from sim_sync_tests.docs.test_readme import DOCUMENTS
from sim_sync_tests.ui.pictures import IMAGES, PICTURES

_SHOWN = re.compile(r"!\[([^\]]+)\]\([^)]*?([\w-]+)\.png\)")


def test_every_picture_in_the_folder_is_taken_by_the_recipe_and_none_is_missing() -> None:
    assert {path.stem for path in IMAGES.iterdir()} == set(PICTURES)


def test_every_picture_is_shown_with_a_text_that_says_what_is_on_it() -> None:
    shown = {
        name: text for document in DOCUMENTS for text, name in _SHOWN.findall(document.read_text(encoding="utf-8"))
    }
    assert set(shown) == set(PICTURES)
    assert all(len(text.split()) >= 4 for text in shown.values())
