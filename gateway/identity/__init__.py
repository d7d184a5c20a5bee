"""Who asks? Clients, their assertions, DPoP proofs, and the tokens that bind them to grants."""

from gateway.identity.client_keys import ClientKey, is_client_key, key_set
from gateway.identity.clients import (
    KnownClient,
    add_key,
    change_method,
    name_resource_server,
    register_client,
    retire_key,
    revoke_client,
)
from gateway.identity.endpoint import Admission
from gateway.identity.floods import Rate, Rates
from gateway.identity.grants import AgreementTerms, Grants, Offer
from gateway.identity.identity import Identity, Membership, TokenRecord
from gateway.identity.message_signatures import SignedMessage
from gateway.identity.methods import PRIVATE_KEY_JWT, Binding, Method, MethodName
from gateway.identity.proxy import TrustedProxy
from gateway.identity.refusals import Challenge, TokenRefused
from gateway.identity.replay import (
    AssertionWindow,
    DatabaseWindow,
    MemoryWindow,
    ProofWindow,
    ReplayWindow,
    Spending,
)
from gateway.identity.security_log import SecurityLog
from gateway.identity.signed_requests import PROFILE, SignedRequest
from gateway.identity.signed_responses import ResponseSigner, SignedResponse
from gateway.identity.subject import MEMBER_ACTIONS, AgreementGrant, MemberGrant, Subject
from gateway.identity.token_keys import TokenKey, TokenKeys

__all__ = [
    "MEMBER_ACTIONS",
    "PRIVATE_KEY_JWT",
    "PROFILE",
    "Admission",
    "AgreementGrant",
    "AgreementTerms",
    "AssertionWindow",
    "Binding",
    "Challenge",
    "ClientKey",
    "DatabaseWindow",
    "Grants",
    "Identity",
    "KnownClient",
    "MemberGrant",
    "Membership",
    "MemoryWindow",
    "Method",
    "MethodName",
    "Offer",
    "ProofWindow",
    "Rate",
    "Rates",
    "ReplayWindow",
    "ResponseSigner",
    "SecurityLog",
    "SignedMessage",
    "SignedRequest",
    "SignedResponse",
    "Spending",
    "Subject",
    "TokenKey",
    "TokenKeys",
    "TokenRecord",
    "TokenRefused",
    "TrustedProxy",
    "add_key",
    "change_method",
    "is_client_key",
    "key_set",
    "name_resource_server",
    "register_client",
    "retire_key",
    "revoke_client",
]
