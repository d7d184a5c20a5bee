"""Asking persons for their consent: links, one-time codes, visits and what is decided in them."""

from gateway.consents.asking.asking import Asking, Opened
from gateway.consents.asking.browser import Browser
from gateway.consents.asking.deciding import Choice, Decision
from gateway.consents.asking.links import LINK_PATH, Link
from gateway.consents.asking.questions import Question
from gateway.consents.asking.visit import Kind, Visit

__all__ = [
    "LINK_PATH",
    "Asking",
    "Browser",
    "Choice",
    "Decision",
    "Kind",
    "Link",
    "Opened",
    "Question",
    "Visit",
]
