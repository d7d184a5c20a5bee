"""Which line each attack of this folder meets: the line changed as written here, its test is red.

`python -m tests.mutation` shows it. Paths are below `gateway/`; each text stands exactly once in its file.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Mutation(NamedTuple):
    """One check taken away."""

    file: str
    before: str
    after: str


def _never(file: str, condition: str) -> Mutation:
    """`if condition:` that never holds."""
    return Mutation(file, f"if {condition}:", "if False:")


def _without(file: str, before: str, gone: str) -> Mutation:
    """`before` with a part of it left out."""
    assert before.count(gone) == 1, before
    return Mutation(file, before, before.replace(gone, ""))


_ASSERTIONS = "identity/assertions.py"
_AUTHENTICATION = "identity/authentication.py"
_CLAIMS = "identity/claims.py"
_CLIENTS = "identity/clients.py"
_ENDPOINT = "identity/endpoint.py"
_FORMS = "identity/forms.py"
_GRANTS = "identity/grants.py"
_JWS = "identity/jws.py"
_KEYS = "identity/keys.py"
_NONCES = "identity/nonces.py"
_PROOFS = "identity/proofs.py"
_PROXY = "identity/proxy.py"
_REPLAY = "identity/replay.py"
_RESOURCE = "identity/resource.py"
_REVOKED = "identity/revoked.py"
_TOKENS = "identity/tokens.py"

_SUBJECT = 'if claims.get("sub") != client.id or claims.get("iss") != client.id:'
_TYP = (
    'if ("typ" in header and jws.media_type(header["typ"]) is None) or jws.media_type(header.get("typ")) not in types:'
)
_NUMBER = "if isinstance(value, bool) or not isinstance(value, int | float) or not -_LATEST < value < _LATEST:"
_STRICT = "if padding is not None and (not tail or raw[-1] in _WITHOUT_LOOSE_BITS[tail]):"
_WINDOW = "if not now - MAX_AGE_SECONDS <= issued <= now + MAX_AHEAD_SECONDS:"
_PROOF_HEADER = 'if jws.media_type(header.get("typ")) != "dpop+jwt" or not isinstance(jwk, dict):'
_PROOF_SHAPE = "if len(proof) > PROOF_BYTES or not (head and body and signature):"
_NORMAL = 'not parts.hostname or "@" in parts.netloc or _BARE_PERCENT'
_SCHEME = 'if len(authorizations) != 1 or scheme.lower() != b"dpop" or not token:'
_SMALL_ORDER = "return y < _ED25519_FIELD and y not in _SMALL_ORDERS"
_METHODS = 'if any(name == b"authorization" for name, _ in headers) or not form.keys().isdisjoint(_OTHER_CREDENTIALS):'
_OURS = 'if claims.get("iss") != self._issuer or claims.get("aud") != self._resource:'
_OFFER = "if offer is not None and offer.ends_at > now_s and (split := _narrow(detail, offer)):"
_STANDS = 'if row is None or row["state"] != "active" or row["version"] != subject.client_version:'
_SPEAKS = "return known and any(address in network for network in self._networks)"
_HANDED = "if len(found) != 1 or not self._speaks(headers, peer):"
_RSA = "if modulus.bit_length() not in _RSA_BITS or modulus % 2 == 0:"

MUTATIONS: Final[dict[str, Mutation]] = {
    # assertions
    "test_assertion_signed_by_a_strangers_key": _never(
        _AUTHENTICATION, "renewed is client or not assertions.signed_by(claimed, renewed)"
    ),
    "test_assertion_signed_under_a_kid_that_is_not_the_clients": _without(
        _ASSERTIONS, "for known, key in client.keys if kid in (None, known))", " if kid in (None, known)"
    ),
    "test_assertion_signed_by_a_retired_key": _without(
        _CLIENTS,
        'client_key.c.state == "active",\n                client_key.c.not_before',
        'client_key.c.state == "active",',
    ),
    "test_assertion_signed_by_a_key_that_does_not_count_yet": _without(
        _CLIENTS, "client_key.c.not_before <= _NOW,", "client_key.c.not_before <= _NOW,"
    ),
    "test_assertion_signed_by_a_key_whose_time_is_over": _without(
        _CLIENTS, "or_(client_key.c.expires_at.is_(None), client_key.c.expires_at > _NOW),",
        "or_(client_key.c.expires_at.is_(None), client_key.c.expires_at > _NOW),",
    ),
    "test_assertion_of_a_revoked_client": _never(_AUTHENTICATION, 'client.state != "active"'),
    "test_assertion_of_a_client_that_never_was": _never(_AUTHENTICATION, "client is None"),
    "test_assertion_by_an_algorithm_that_the_key_is_not_pinned_to": _without(
        _JWS, "return key.verifies(algorithm) and verifies(", "key.verifies(algorithm) and "
    ),
    "test_assertion_made_for_another_server": _never(_ASSERTIONS, 'claims.get("aud") != issuer'),
    "test_assertion_made_for_several_servers": Mutation(
        _ASSERTIONS, 'if claims.get("aud") != issuer:', 'if claims.get("aud") not in (issuer, [issuer]):'
    ),
    "test_assertion_made_for_the_token_endpoint": Mutation(
        _ASSERTIONS, 'if claims.get("aud") != issuer:', 'if claims.get("aud") not in (issuer, issuer + "/token"):'
    ),
    "test_assertion_that_is_a_request_object_without_subject": _without(
        _ASSERTIONS, _SUBJECT, 'claims.get("sub") != client.id or '
    ),
    "test_assertion_in_the_name_of_another_client": _never(
        _AUTHENTICATION, 'claim.form.get("client_id", client.id) != client.id'
    ),
    "test_assertion_that_can_be_used_for_ever_without_jti": _never(_ASSERTIONS, "jti is None"),
    "test_assertion_with_a_jti_that_somebody_can_guess": Mutation(_ASSERTIONS, "range(20, 257)", "range(1, 257)"),
    "test_assertion_that_has_expired": _never(_ASSERTIONS, "expires <= now"),
    "test_assertion_issued_in_the_future": _never(_ASSERTIONS, "issued > now + MAX_AHEAD_SECONDS"),
    "test_assertion_not_valid_before_the_future": _never(_ASSERTIONS, "begins > now + MAX_AHEAD_SECONDS"),
    "test_assertion_for_ten_years": _never(_ASSERTIONS, "expires - issued > MAX_LIFETIME_SECONDS"),
    "test_assertion_for_ten_years_that_hides_when_it_was_issued": Mutation(
        _ASSERTIONS,
        "if expires - issued > MAX_LIFETIME_SECONDS:",
        'if "iat" in claims and expires - issued > MAX_LIFETIME_SECONDS:',
    ),
    "test_assertion_whose_nbf_is_a_truth_value": _without(_CLAIMS, _NUMBER, "isinstance(value, bool) or "),
    "test_assertion_whose_nbf_is_beyond_all_numbers": _without(
        _CLAIMS, _NUMBER, " or not -_LATEST < value < _LATEST"
    ),
    "test_assertion_that_is_another_kind_of_token": _without(
        _ASSERTIONS, _TYP, ' or jws.media_type(header.get("typ")) not in types'
    ),
    "test_assertion_whose_typ_is_no_text": _without(
        _ASSERTIONS, _TYP, '("typ" in header and jws.media_type(header["typ"]) is None) or '
    ),
    "test_assertion_of_a_strict_client_without_its_type": Mutation(
        _ASSERTIONS, "types = (_EXPLICIT_TYPE,) if client.method.strict_typ else _TYPES", "types = _TYPES"
    ),
    "test_assertion_stolen_and_used_again": _never(_AUTHENTICATION, "not fresh"),
    "test_assertion_stolen_and_used_at_another_process": Mutation(
        _REPLAY, "expires_at=until * 1000) == 1", "expires_at=until * 1000) >= 0"
    ),
    "test_assertion_of_a_refused_request_used_again": _without(
        _ENDPOINT, "await self._clients.spend(caller)\n                raise", "await self._clients.spend(caller)\n"
    ),
    "test_assertion_with_a_critical_extension": _without(
        _JWS, 'if "crit" in header or "b64" in header:', '"crit" in header or '
    ),
    "test_assertion_with_an_unencoded_payload": _without(
        _JWS, 'if "crit" in header or "b64" in header:', ' or "b64" in header'
    ),
    "test_assertion_that_says_a_claim_twice": _never(_JWS, "not settled"),
    "test_assertion_in_a_second_spelling": _without(
        "identity/base64url.py", _STRICT, " and (not tail or raw[-1] in _WITHOUT_LOOSE_BITS[tail])"
    ),
    "test_assertion_blown_up_to_keep_the_server_busy": Mutation(
        _ASSERTIONS, "limit=ASSERTION_BYTES", "limit=ASSERTION_BYTES * 9"
    ),
    "test_assertion_with_a_header_blown_up": _never(_JWS, "len(segment) > HEADER_BYTES"),
    "test_assertion_in_four_parts": Mutation(
        _JWS,
        'segments = raw.split(b".", _SEGMENTS)\n',
        'segments = raw.split(b".", _SEGMENTS)[:3]\n',
    ),
    # proofs
    "test_proof_of_a_thief_over_a_stolen_token": _never(_RESOURCE, "checked.jkt != subject.jkt"),
    "test_proof_heard_and_shown_again": _never(
        _RESOURCE, 'not await self._window.reserve("resource", checked.jkt, checked.jti, checked.until)'
    ),
    "test_proof_heard_and_shown_to_the_token_endpoint_again": _never(
        _ENDPOINT, 'proof and not await self._proof_window.reserve("token", proof.jkt, proof.jti, proof.until)'
    ),
    "test_proof_dated_ahead_and_kept_over_a_restart": Mutation(
        _REPLAY, "self._secret = secrets.token_bytes(32)", 'self._secret = b"0" * 32'
    ),
    "test_proof_for_another_method": _never(_PROOFS, 'claims.get("htm") != method'),
    "test_proof_for_another_address": _never(_PROOFS, 'not same_target(claims.get("htu"), target)'),
    "test_proof_for_an_address_that_only_looks_the_same": _without(
        _PROOFS, "return plain if _UNRESERVED.fullmatch(plain) else escaped[0].upper()",
        " if _UNRESERVED.fullmatch(plain) else escaped[0].upper()",
    ),
    "test_proof_for_an_address_with_a_user_in_it": _without(_PROOFS, _NORMAL, ' or "@" in parts.netloc'),
    "test_proof_over_another_token": _never(_PROOFS, 'claims.get("ath") != ath'),
    "test_proof_over_no_token": Mutation(_PROOFS, 'claims.get("ath") != ath', 'claims.get("ath", ath) != ath'),
    "test_proof_that_is_old": Mutation(_PROOFS, _WINDOW, "if not issued <= now + MAX_AHEAD_SECONDS:"),
    "test_proof_made_for_later": Mutation(_PROOFS, _WINDOW, "if not now - MAX_AGE_SECONDS <= issued:"),
    "test_proof_that_says_itself_that_it_is_over": _never(
        _PROOFS, '("exp" in claims or "nbf" in claims) and not _open_now(claims, now)'
    ),
    "test_proof_made_in_advance_without_a_nonce": _never(_PROOFS, 'not self._nonces.accepts(claims.get("nonce"))'),
    "test_proof_under_the_nonce_of_the_other_server": _without(
        _NONCES, r'b"dpop-nonce\0" + self._role + b"\0"', ' + self._role'
    ),
    "test_proof_under_a_nonce_that_was_kept": _without(
        _NONCES, "window, secret = seconds(self._clock()) // WINDOW_SECONDS, self._secret()",
        "seconds(self._clock()) // ",
    ),
    "test_proof_signed_by_another_key_than_it_shows": _never(
        _PROOFS, "not jws.verifies(algorithm, signed, signature, key)"
    ),
    "test_proof_that_is_another_kind_of_token": _without(
        _PROOFS, _PROOF_HEADER, 'jws.media_type(header.get("typ")) != "dpop+jwt" or '
    ),
    "test_proof_that_gives_its_private_key_away": _never(_KEYS, "not _PRIVATE.isdisjoint(jwk)"),
    "test_proof_by_an_algorithm_that_is_not_accepted": _never(_PROOFS, "not key.verifies(algorithm)"),
    "test_proof_without_jti": _without(_PROOFS, "if issued is None or jti is None:", " or jti is None"),
    "test_proof_blown_up_to_keep_the_server_busy": _without(_PROOFS, _PROOF_SHAPE, "len(proof) > PROOF_BYTES or "),
    "test_proof_beside_a_second_proof": Mutation(_RESOURCE, "if len(proofs) != 1:", "if not proofs:"),
    "test_proof_beside_a_second_proof_at_the_token_endpoint": Mutation(
        _ENDPOINT, "if len(found) != 1:", "if not found:"
    ),
    "test_no_proof_at_the_token_endpoint": Mutation(_ENDPOINT, "if len(found) != 1:", "if len(found) > 1:"),
    "test_bound_token_as_a_bearer_token": _without(_RESOURCE, _SCHEME, 'scheme.lower() != b"dpop" or '),
    "test_two_tokens_in_one_request": _without(_RESOURCE, _SCHEME, "len(authorizations) != 1 or "),
    # tokens
    "test_token_signed_by_another_key_under_our_kid": _never(_TOKENS, "not jws.signature_holds(parts, key)"),
    "test_token_that_is_another_kind_of_token": _never(_TOKENS, 'jws.media_type(parts.header.get("typ")) != TYPE'),
    "test_token_for_another_resource": _without(_TOKENS, _OURS, ' or claims.get("aud") != self._resource'),
    "test_token_of_another_issuer": _without(_TOKENS, _OURS, 'claims.get("iss") != self._issuer or '),
    "test_token_that_has_expired": _without(
        _TOKENS, "if expires is None or expires <= now:", " or expires <= now"
    ),
    "test_token_that_has_expired_since_it_was_remembered": _never(
        _TOKENS, "subject is not None and subject.expires_at <= now"
    ),
    "test_token_that_outlives_its_agreement": _without(
        _TOKENS, "min([now + LIFETIME_SECONDS, *([] if grants.ends_at is None else [grants.ends_at])])",
        ", *([] if grants.ends_at is None else [grants.ends_at])",
    ),
    "test_token_under_an_agreement_that_is_over": _without(_GRANTS, _OFFER, " and offer.ends_at > now_s"),
    "test_token_for_a_dataset_that_was_not_agreed": Mutation(
        _GRANTS, "offer.datasets.get(dataset, ())", "offer.datasets.get(dataset, asked.purposes)"
    ),
    "test_token_for_a_purpose_that_was_not_agreed": _without(
        _GRANTS, "for purpose in asked.purposes if purpose in offered)", " if purpose in offered"
    ),
    "test_token_for_an_action_that_was_not_agreed": _without(
        _GRANTS, "for action in asked.actions if action in offer.actions)", " if action in offer.actions"
    ),
    "test_token_for_an_action_that_no_member_has": _without(
        _GRANTS, "asked.actions & MEMBER_ACTIONS", " & MEMBER_ACTIONS"
    ),
    "test_token_for_nothing": _never(_ENDPOINT, "not granted.agreements and not granted.actions"),
    "test_details_with_a_field_that_nobody_knows": _never(_GRANTS, "not detail.keys() <= _FIELDS[kind]"),
    "test_details_that_say_a_member_twice": _never("canonical.py", "len(members) != len(pairs)"),
    "test_details_without_end": _never(_GRANTS, "isinstance(details, list) and len(details) > _DETAILS"),
    "test_token_after_it_was_revoked": _never(_REVOKED, 'row["revoked"]'),
    "test_token_after_its_client_changed": _without(
        _REVOKED, _STANDS, ' or row["version"] != subject.client_version'
    ),
    "test_token_after_its_member_was_suspended": _without(
        _REVOKED, 'return Standing.HOLDS if row["member_state"] == "admitted" else Standing.SUSPENDED',
        ' if row["member_state"] == "admitted" else Standing.SUSPENDED',
    ),
    "test_token_revoked_by_another_client": Mutation(
        "identity/revocation.py", "if subject.client == client.id:", "if subject:"
    ),
    "test_token_looked_into_by_another_client": _never("identity/introspection.py", "serves is None"),
    "test_token_that_is_revoked_and_shown_as_good": _never(
        "identity/introspection.py", "stands not in (Standing.HOLDS, Standing.SUSPENDED)"
    ),
    "test_signed_introspection_as_an_access_token": _never(
        _TOKENS, 'jws.media_type(parts.header.get("typ")) != TYPE'
    ),
    # requests, keys, certificates
    "test_request_with_a_parameter_twice": _never(_FORMS, "plain in form"),
    "test_request_that_is_no_form": _never(_FORMS, "not _TYPE.fullmatch(content_type)"),
    "test_request_with_a_broken_escape": _never(_FORMS, "_BAD_ESCAPE.search(plain)"),
    "test_request_blown_up_to_keep_the_server_busy": _never(_FORMS, "len(body) > BODY_BYTES"),
    "test_request_with_parameters_without_end": _never(_FORMS, "len(pairs) > most"),
    "test_request_with_a_shared_secret_beside_the_assertion": _without(
        _AUTHENTICATION, _METHODS, " or not form.keys().isdisjoint(_OTHER_CREDENTIALS)"
    ),
    "test_request_with_a_password_beside_the_assertion": _without(
        _AUTHENTICATION, _METHODS, 'any(name == b"authorization" for name, _ in headers) or '
    ),
    "test_request_with_an_assertion_of_another_kind": _never(
        _AUTHENTICATION, '("client_assertion" in form) != (form.get("client_assertion_type") == ASSERTION_TYPE)'
    ),
    "test_request_for_another_grant": _never(_ENDPOINT, 'form.get("grant_type") != "client_credentials"'),
    "test_request_for_a_scope": _never(_ENDPOINT, '"scope" in form'),
    "test_request_for_another_resource": _never(
        _ENDPOINT, 'form.get("resource", self._resource) != self._resource'
    ),
    "test_flood_of_a_client": Mutation(
        "identity/floods.py", "wait = self._clients.wait(client)", "wait = 0"
    ),
    "test_flood_of_strangers": Mutation("identity/floods.py", "wait = self._strangers.wait(site)", "wait = 0"),
    "test_key_that_is_private": _never(_KEYS, "not _PRIVATE.isdisjoint(jwk)"),
    "test_key_that_can_be_factored": _without(_KEYS, _RSA, "modulus.bit_length() not in _RSA_BITS or "),
    "test_key_with_a_small_exponent": _never(_KEYS, "exponent not in _RSA_EXPONENTS or exponent % 2 == 0"),
    "test_key_in_a_second_spelling": _without(_KEYS, "if not octets or octets[0] == 0:", " or octets[0] == 0"),
    "test_key_under_which_anybodys_signature_holds": _without(_KEYS, _SMALL_ORDER, " and y not in _SMALL_ORDERS"),
    "test_key_for_encryption": _never(_KEYS, 'jwk.get("use", "sig") != "sig"'),
    "test_key_for_an_algorithm_that_is_not_accepted": _never(
        _KEYS, "not isinstance(algorithm, str) or not key.verifies(algorithm)"
    ),
    "test_certificate_header_from_anybody": _without(
        _PROXY, _SPEAKS, " and any(address in network for network in self._networks)"
    ),
    "test_certificate_header_from_the_proxys_neighbour_without_its_secret": _without(_PROXY, _SPEAKS, "known and "),
    "test_certificate_beside_a_second_certificate": Mutation(
        _PROXY, _HANDED, "if not found or not self._speaks(headers, peer):"
    ),
    "test_certificate_with_the_name_and_no_good_chain": _without(
        _AUTHENTICATION, "return chain_is_good and method", "chain_is_good and "
    ),
    "test_certificate_of_somebody_else": Mutation(
        _AUTHENTICATION, "return certificate.thumbprint in method.certificates", "return True"
    ),
    "test_certificate_that_has_expired": _never(
        _AUTHENTICATION, "claim.certificate and not claim.certificate.is_valid_at(now)"
    ),
    "test_token_bound_to_a_certificate_on_another_connection": _never(
        _RESOURCE, "certificate.thumbprint != subject.certificate"
    ),
    "test_token_bound_to_a_certificate_that_has_expired": _never(
        _RESOURCE, "not certificate.is_valid_at(seconds(self._clock()))"
    ),
}  # fmt: skip
