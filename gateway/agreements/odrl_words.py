"""The vocabulary of exported agreements: ODRL 2.2's own terms, and a profile for what ODRL cannot say.

A profile is how ODRL is meant to be extended (ODRL Information Model 2.2, section 3). Everything of ours stands in one
namespace, written `ag:`; docs/decisions/0025-agreements.md lists each term with its meaning.
"""

from __future__ import annotations

from typing import Final

ODRL: Final = "http://www.w3.org/ns/odrl/2/"
PROFILE: Final = "urn:alliance-gateway:odrl:1"
CONTEXT: Final = [
    "http://www.w3.org/ns/odrl.jsonld",
    {
        "ag": "urn:alliance-gateway:odrl:1#",
        "dct": "http://purl.org/dc/terms/",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    },
]
MEMBER: Final = "urn:alliance-gateway:member:"
AGREEMENT: Final = "urn:alliance-gateway:agreement:"
DATASET: Final = "urn:alliance-gateway:dataset:"
ALLIANCE: Final = "urn:alliance-gateway:alliance:"
PURPOSE: Final = "urn:alliance-gateway:purpose:"

WHOLE: Final = {
    "ag:alliance": "alliance",
    "ag:confidentialityYears": "confidentiality_years",
    "ag:remedies": "remedies",
    "ag:dispute": "dispute",
    "ag:revenueRatio": "revenue_ratio",
    "ag:rightsAndDuties": "rights_and_duties",
    "ag:liability": "liability",
    "ag:template": "template",
    "ag:signedMessages": "signed_messages",
}
"""Terms of the whole agreement that ODRL has no word for, under the profile's."""

CADENCE: Final = {
    "ag:every": "every",
    "ag:on": "on",
    "ag:by": "by",
    "ag:timeZone": "time_zone",
    "ag:calendar": "calendar",
    "ag:graceDays": "grace_days",
    "ag:first": "first",
}
"""The left operands of the owner's duty to upload."""
