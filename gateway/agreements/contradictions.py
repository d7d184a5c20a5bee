"""Terms that are each well formed and contradict each other: refused by name, before anybody signs them.

What only the world can say (a time zone, a member, a dataset's fields, a registered purpose) is asked at drafting,
in `drafting.py`. What stands here follows from the text alone, so that a stored text never becomes unreadable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.agreements.dataset_terms import PERIOD_DAYS
from gateway.errors import Invalid

if TYPE_CHECKING:
    from gateway.agreements.terms import Terms

_DAY_S = 86_400
_DAYS_OF_A_YEAR = 365


def refuse_contradictions(terms: Terms) -> None:
    """Return if the terms can all hold together; `Invalid` names the first that cannot."""
    _refuse_same_party(terms)
    _refuse_third_parties(terms)
    _refuse_amending_itself(terms)
    for index, term in enumerate(terms.datasets):
        at = f"/datasets/{index}"
        if term.cadence is not None and PERIOD_DAYS[term.cadence.every] * _DAY_S > terms.ends_at - terms.starts_at:
            raise Invalid(
                "terms_cadence_longer_than_term",
                "The agreement ends before it would be due a second time.",
                field=f"{at}/cadence/every",
                remedy="Let it be due more often, or agree for longer.",
            )
        longest = terms.confidentiality_years * _DAYS_OF_A_YEAR
        if term.retention_days is not None and term.retention_days > longest:
            raise Invalid(
                "terms_retention_beyond_confidentiality",
                f"Data would be kept longer than the {longest} days for which it is to be kept secret.",
                field=f"{at}/retention_days",
                remedy="Keep it for less, or agree on more years of confidentiality.",
            )


def _refuse_same_party(terms: Terms) -> None:
    if terms.owner == terms.recipient:
        raise Invalid("terms_same_party", "Owner and recipient are the same member.", field="/recipient")


def _refuse_third_parties(terms: Terms) -> None:
    if terms.third_parties and terms.onward == "forbidden":
        raise Invalid(
            "terms_third_parties_forbidden",
            "Third parties are named, and all onward use is forbidden.",
            field="/third_parties",
            remedy="Let onward be written_consent, or name nobody.",
        )
    for index, one in enumerate(terms.third_parties):
        if one in terms.parties:
            raise Invalid(
                "terms_third_party_is_party",
                "A third party is a party of this agreement.",
                field=f"/third_parties/{index}",
                remedy="Leave it out.",
            )


def _refuse_amending_itself(terms: Terms) -> None:
    if terms.amends == terms.agreement:
        raise Invalid("terms_amends_itself", "An agreement cannot replace itself.", field="/amends")
