"""The `X-` headers in which emnify and 1NCE count SIMs and pages; the body itself is a bare array."""

from collections.abc import Mapping

from sim_sync.simulator.vendors.numbered_pages import NumberedPage


def counted_headers(page: NumberedPage) -> Mapping[str, str]:
    """Return what the carrier says about the whole."""
    return {
        "X-Total-Count": str(page.total),
        "X-Total-Pages": str(page.total_pages),
        "X-Current-Page": str(page.number),
        "X-Count-Per-Page": str(page.size),
    }
