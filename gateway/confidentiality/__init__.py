"""Who keeps what secret, and how is it known? Persons, NDAs, rosters, grants, memos, assessments: beside the terms."""

from gateway.confidentiality.circumstances import Circumstances
from gateway.confidentiality.confidentiality import Confidentiality

__all__ = ["Circumstances", "Confidentiality"]
