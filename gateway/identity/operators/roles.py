"""Which role may do what: the whole of it, as two tables. `Operator.require` is the one place that asks."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Role(StrEnum):
    """What an operator is for the alliance."""

    ADMIN = "admin"
    OFFICER = "officer"
    SECRETARIAT = "secretariat"
    MARKET = "market"
    LEGAL = "legal"
    FINANCE = "finance"
    BUSINESS = "business"
    MANAGEMENT = "management"


class Permission(StrEnum):
    """What an operator may do. Deciding always takes another person than the one who proposed."""

    SEE_OPERATORS = "see_operators"
    MANAGE_OPERATORS = "manage_operators"
    SEE_PROPOSALS = "see_proposals"
    DECIDE_CLIENT = "decide_client"
    DECIDE_KEY = "decide_key"
    DECIDE_OWN_KEY = "decide_own_key"
    DECIDE_MEMBER = "decide_member"
    DECIDE_AGREEMENT = "decide_agreement"
    DECIDE_HOLD = "decide_hold"
    DECIDE_CASE = "decide_case"
    DECIDE_EXPORT = "decide_export"
    DECIDE_TRANSFER = "decide_transfer"
    DECIDE_BUNDLE_RULES = "decide_bundle_rules"
    DECIDE_OFFLINE_BATCH = "decide_offline_batch"
    ACT_FOR_MARKET = "act_for_market"
    ACT_FOR_LEGAL = "act_for_legal"
    ACT_FOR_FINANCE = "act_for_finance"
    ACT_FOR_BUSINESS = "act_for_business"
    DECIDE_ADMISSION = "decide_admission"
    DECIDE_DOCUMENT = "decide_document"
    DECIDE_ATTESTATION = "decide_attestation"


PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.ADMIN: frozenset(Permission),
        Role.OFFICER: frozenset(
            {
                Permission.SEE_OPERATORS,
                Permission.SEE_PROPOSALS,
                Permission.DECIDE_KEY,
                Permission.DECIDE_AGREEMENT,
                Permission.DECIDE_HOLD,
                Permission.DECIDE_CASE,
                Permission.DECIDE_EXPORT,
                Permission.DECIDE_TRANSFER,
                Permission.DECIDE_BUNDLE_RULES,
                Permission.DECIDE_OFFLINE_BATCH,
                Permission.DECIDE_DOCUMENT,
                Permission.DECIDE_ATTESTATION,
            }
        ),
        Role.SECRETARIAT: frozenset(
            {
                Permission.SEE_PROPOSALS,
                Permission.DECIDE_CASE,
            }
        ),
        Role.MARKET: frozenset({Permission.SEE_PROPOSALS, Permission.ACT_FOR_MARKET}),
        Role.LEGAL: frozenset(
            {
                Permission.SEE_PROPOSALS,
                Permission.ACT_FOR_LEGAL,
                Permission.DECIDE_DOCUMENT,
                Permission.DECIDE_ATTESTATION,
            }
        ),
        Role.FINANCE: frozenset({Permission.SEE_PROPOSALS, Permission.ACT_FOR_FINANCE}),
        Role.BUSINESS: frozenset({Permission.SEE_PROPOSALS, Permission.ACT_FOR_BUSINESS}),
        Role.MANAGEMENT: frozenset({Permission.SEE_PROPOSALS, Permission.DECIDE_ADMISSION}),
    }
)

DECIDES: Final[Mapping[str, Permission]] = MappingProxyType(
    {
        "register_client": Permission.DECIDE_CLIENT,
        "add_client_key": Permission.DECIDE_CLIENT,
        "change_client_keys": Permission.DECIDE_CLIENT,
        "change_client_method": Permission.DECIDE_CLIENT,
        "name_resource_server": Permission.DECIDE_CLIENT,
        "add_signing_key": Permission.DECIDE_KEY,
        "rotate_key": Permission.DECIDE_OWN_KEY,
        "renew_contact_key": Permission.DECIDE_OWN_KEY,
        "readmit_member": Permission.DECIDE_MEMBER,
        "admit_member": Permission.DECIDE_ADMISSION,
        "renew_document": Permission.DECIDE_DOCUMENT,
        "mark_attestation_false": Permission.DECIDE_ATTESTATION,
        "end_agreement": Permission.DECIDE_AGREEMENT,
        "lift_hold": Permission.DECIDE_HOLD,
        "extend_hold": Permission.DECIDE_HOLD,
        "decide_case": Permission.DECIDE_CASE,
        "export_log": Permission.DECIDE_EXPORT,
        "accept_transfer": Permission.DECIDE_TRANSFER,
        "approve_bundle_rules": Permission.DECIDE_BUNDLE_RULES,
        "sample_offline_batch": Permission.DECIDE_OFFLINE_BATCH,
        "accept_offline_batch": Permission.DECIDE_OFFLINE_BATCH,
        "invalidate_offline_batch": Permission.DECIDE_OFFLINE_BATCH,
    }
)
"""What deciding on a proposed act takes: every act that is registered stands here."""
