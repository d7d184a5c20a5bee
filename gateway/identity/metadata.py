"""What the gateway says about itself: RFC 8414 (server) and RFC 9728 (protected resource)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from gateway.identity.endpoint import PATH as TOKEN_PATH
from gateway.identity.grants import TYPES
from gateway.identity.introspection import ALGORITHMS as SIGNED_BY
from gateway.identity.introspection import PATH as INTROSPECTION_PATH
from gateway.identity.keys import ALGORITHMS
from gateway.identity.methods import MethodName
from gateway.identity.revocation import PATH as REVOCATION_PATH
from gateway.identity.signed_requests import PROFILE

JWKS_PATH = "/jwks"
CLIENTS_PATH = "/clients"
RESOURCE_METADATA_PATH = "/.well-known/oauth-protected-resource"


def origin(url: str) -> str:
    """Scheme and authority of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def resource_metadata_url(resource: str) -> str:
    """The well-known URL of a resource: inserted before its path (RFC 9728 section 3.1)."""
    return origin(resource) + RESOURCE_METADATA_PATH + urlsplit(resource).path


def server(issuer: str, resource: str, mtls: str = "") -> dict[str, Any]:
    """RFC 8414 section 2, with RFC 7591 section 3, RFC 9396 section 10, RFC 9449 section 5.1, RFC 9701 section 7 and
    RFC 9728 section 4.

    There is no authorization endpoint: no response types, and no `authorization_response_iss_parameter_supported`
    (RFC 9207), whose answers do not exist here. With `mtls`, the origin that asks for client certificates, also
    RFC 8705 sections 3.3 and 5.
    """
    methods = [name.value for name in MethodName] if mtls else [MethodName.PRIVATE_KEY_JWT.value]
    described: dict[str, Any] = {
        "issuer": issuer,
        "token_endpoint": issuer + TOKEN_PATH,
        "revocation_endpoint": issuer + REVOCATION_PATH,
        "introspection_endpoint": issuer + INTROSPECTION_PATH,
        "jwks_uri": issuer + JWKS_PATH,
        "registration_endpoint": resource + CLIENTS_PATH,
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        **_authentication("token", methods),
        **_authentication("revocation", methods),
        **_authentication("introspection", methods),
        "introspection_signing_alg_values_supported": list(SIGNED_BY),
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "authorization_details_types_supported": list(TYPES),
        "protected_resources": [resource],
    }
    if mtls:
        described["tls_client_certificate_bound_access_tokens"] = True
        described["mtls_endpoint_aliases"] = {
            "token_endpoint": mtls + TOKEN_PATH,
            "revocation_endpoint": mtls + REVOCATION_PATH,
            "introspection_endpoint": mtls + INTROSPECTION_PATH,
            "registration_endpoint": mtls + urlsplit(resource).path + CLIENTS_PATH,
        }
    return described


def _authentication(endpoint: str, methods: list[str]) -> dict[str, list[str]]:
    """How clients prove who they are, the same at each endpoint."""
    return {
        f"{endpoint}_endpoint_auth_methods_supported": methods,
        f"{endpoint}_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
    }


def protected_resource(issuer: str, resource: str, mtls: str = "") -> dict[str, Any]:
    """RFC 9728 section 2. Tokens go in the Authorization header only and are always bound.

    `http_message_signature_profiles_supported` is ours: by which drafts requests may be signed (RFC 9421).
    """
    return {
        "resource": resource,
        "resource_name": "Alliance Gateway",
        "jwks_uri": f"{resource}/jwks",
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
        "authorization_details_types_supported": list(TYPES),
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "dpop_bound_access_tokens_required": not mtls,
        "tls_client_certificate_bound_access_tokens": bool(mtls),
        "resource_signing_alg_values_supported": list(SIGNED_BY),
        "http_message_signature_profiles_supported": [PROFILE],
    }
