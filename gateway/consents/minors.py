"""Under 14, a guardian gives (PIPL Art. 31); on the 14th birthday the child is asked itself."""

from __future__ import annotations

from typing import NamedTuple

from gateway.canonical import canonical
from gateway.catalog.dataset import Dataset
from gateway.errors import Invalid

AGE_BANDS = ("under_14", "14_to_17", "adult", "unknown")
RELATIONS = ("parent", "adoptive_parent", "grandparent", "sibling", "other_guardian")


class Guardian(NamedTuple):
    """Who gives for a child: how related, how the guardian was verified, and the special rule that was shown."""

    relation: str
    verified: str
    rule: str = ""

    def text(self) -> str:
        """As records keep it."""
        return canonical(self._asdict()).decode()


def needs_guardian(age_band: str, dataset: Dataset) -> bool:
    """Whether only a guardian can give: under 14, or of unknown age in a dataset that is made for children."""
    return age_band == "under_14" or (age_band == "unknown" and dataset.schema.for_children)


def check_age(age_band: str, guardian: Guardian | None, dataset: Dataset, at: str = "", *, given: bool) -> None:
    """`Invalid` unless the age is one of the bands and, where one gives for a child, the guardian is named."""
    if age_band not in AGE_BANDS:
        raise Invalid("invalid_consent", f"One of {', '.join(AGE_BANDS)}.", field=f"{at}/age_band")
    if guardian is not None and (guardian.relation not in RELATIONS or not guardian.verified):
        raise Invalid(
            "invalid_consent",
            f"A guardian is {', '.join(RELATIONS)}, and it says how that was verified.",
            field=f"{at}/guardian",
        )
    if given and guardian is None and needs_guardian(age_band, dataset):
        raise Invalid(
            "guardian_needed",
            "For a child under 14 a verified guardian gives (PIPL Art. 31).",
            field=f"{at}/guardian",
            remedy="Name the guardian's relation and how it was verified.",
        )
