from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from sim_sync_tests.ui.browser import opened_page
from sim_sync_tests.ui.project import ServedProject, served_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProject]:
    """A served project with one finished sync: its carrier tells no total, and that walk says how long the next is."""
    with served_project(tmp_path_factory.mktemp("dev")) as project:
        project.backfill()
        yield project


@pytest.fixture(scope="module")
def page(project: ServedProject) -> Iterator[Page]:
    """A browser's page."""
    with opened_page() as page:
        yield page
