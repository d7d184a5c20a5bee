"""Passkeys (WebAuthn level 3): what the browser is asked for, and whether its answer holds. The one door to `webauthn`.

User verification is always required, the origin and the relying party are ours alone, and no frame of another
site may have asked. Attestation is not asked for: which make of authenticator is used is the company's to decide.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import parse_authentication_credential_json, parse_registration_credential_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from gateway.identity.base64url import decode, encode
from gateway.identity.operators.site import Site

ANSWER_BYTES: Final = 16 * 1024
LONGEST_ID: Final = 1023
"""Bytes of a passkey's id (WebAuthn section 7.1, step 25); the index of PostgreSQL holds none of twice as many."""
_WAIT_MS: Final = 120_000
_ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,  # TPMs of Windows Hello have nothing better
]
_MALFORMED = (WebAuthnException, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)


class PasskeyRefused(Exception):
    """The answer does not hold; `code` says why, for the log."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A passkey that was just made."""

    id: str
    public_key: bytes
    sign_count: int
    backup_eligible: bool
    backed_up: bool
    aaguid: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A browser's answer to a challenge, taken apart; nothing in it is verified yet."""

    credential: str
    user_handle: str
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Used:
    """What an answer that holds says of the passkey."""

    sign_count: int
    backed_up: bool


class Passkeys:
    """Options and answers of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def creation(self, *, operator: str, name: str, challenge: bytes, known: Sequence[str]) -> dict[str, Any]:
        """`PublicKeyCredentialCreationOptionsJSON` for a discoverable, user-verifying passkey; not one of `known`."""
        options = generate_registration_options(
            rp_id=self._site.rp_id,
            rp_name=self._site.name,
            user_name=name,
            user_id=operator.encode(),
            challenge=challenge,
            timeout=_WAIT_MS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=_descriptors(known),
            supported_pub_key_algs=_ALGORITHMS,
        )
        return dict(json.loads(options_to_json(options)))

    def request(self, *, challenge: bytes, allowed: Sequence[str] = ()) -> dict[str, Any]:
        """`PublicKeyCredentialRequestOptionsJSON`; without `allowed` the browser offers what it discovers."""
        options = generate_authentication_options(
            rp_id=self._site.rp_id,
            challenge=challenge,
            timeout=_WAIT_MS,
            allow_credentials=_descriptors(allowed),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return dict(json.loads(options_to_json(options)))

    def created(self, text: str, *, challenge: bytes) -> NewPasskey:
        """The passkey that a browser made in answer to this challenge; else `PasskeyRefused`."""
        document = _document(text)
        try:
            _refuse_frames(parse_registration_credential_json(document).response.client_data_json)
            made = verify_registration_response(
                credential=document,
                expected_challenge=challenge,
                expected_rp_id=self._site.rp_id,
                expected_origin=self._site.origin,
                require_user_verification=True,
                supported_pub_key_algs=_ALGORITHMS,
            )
        except _MALFORMED:
            raise PasskeyRefused("PASSKEY_INVALID") from None
        if len(made.credential_id) > LONGEST_ID:
            raise PasskeyRefused("PASSKEY_INVALID")
        return NewPasskey(
            encode(made.credential_id),
            made.credential_public_key,
            made.sign_count,
            made.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
            made.credential_backed_up,
            made.aaguid,
        )

    def take_apart(self, text: str) -> Answer:
        """Which passkey answers, for whom; else `PasskeyRefused`."""
        document = _document(text)
        try:
            parsed = parse_authentication_credential_json(document)
            handle = parsed.response.user_handle
            return Answer(encode(parsed.raw_id), handle.decode("ascii") if handle else "", document)
        except _MALFORMED:
            raise PasskeyRefused("PASSKEY_MALFORMED") from None

    def used(self, answer: Answer, *, challenge: bytes, public_key: bytes, sign_count: int) -> Used:
        """What the answer proves of a passkey of this key and counter; else `PasskeyRefused`.

        The counter is compared here, after the signature: only the key itself can set off that alarm. A counter
        that does not advance says that the key exists twice (WebAuthn section 6.1.1).
        """
        try:
            _refuse_frames(parse_authentication_credential_json(answer.document).response.client_data_json)
            proved = verify_authentication_response(
                credential=answer.document,
                expected_challenge=challenge,
                expected_rp_id=self._site.rp_id,
                expected_origin=self._site.origin,
                credential_public_key=public_key,
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        except _MALFORMED:
            raise PasskeyRefused("PASSKEY_INVALID") from None
        if (proved.new_sign_count or sign_count) and proved.new_sign_count <= sign_count:
            raise PasskeyRefused("PASSKEY_COUNTER")
        return Used(proved.new_sign_count, proved.credential_backed_up)


def _descriptors(ids: Sequence[str]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=decode(one)) for one in ids]


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text) if len(text) <= ANSWER_BYTES else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise PasskeyRefused("PASSKEY_MALFORMED")
    return document


def _refuse_frames(client_data: bytes) -> None:
    """The library does not look at `crossOrigin` and `topOrigin` (WebAuthn section 5.8.1)."""
    said = json.loads(client_data)
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise ValueError
