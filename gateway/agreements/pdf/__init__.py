"""Agreements as PDF, and PDFs that were signed by PAdES (ETSI EN 319 142); needs the extra `pdf`.

What is here is imported where it is called: without the extra everything else works.
"""

from importlib.util import find_spec

from gateway.errors import Invalid


def require_extra() -> None:
    """Return if the libraries of the extra are installed; else `Invalid`."""
    if find_spec("reportlab") is None or find_spec("pyhanko") is None:
        raise Invalid("pdf_not_installed", "This gateway runs without PDF.", remedy="Install it with the extra: [pdf].")


__all__ = ["require_extra"]
