"""Checking a file's answer far from the gateway: the file is what its manifest says, and the gateway signed that one.

Whether the entries behind the receipts stand in the log, the log's owner proves (`gateway verify`).
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.canonical import canonical, parse
from gateway.errors import Invalid
from gateway.ledger.receipts import verify, verify_statement

MANIFEST_TYPE = "file-manifest+jws"
_BREAK = b"\r\n"


class Proven(NamedTuple):
    """A file that holds, and its manifest."""

    content: memoryview
    manifest: dict[str, Any]


def prove(answer: bytes, jwks: Mapping[str, Any]) -> Proven:
    """Split the body of an answer; check digests, counts, receipts and signature by the keys the gateway publishes.

    `Invalid` says what does not hold. A file that ended early holds too: `complete` tells.
    """
    content, manifest = _split(answer)
    try:
        _check_content(content, manifest)
        keys = {key["kid"]: key for key in jwks["keys"]}
        for one in (*manifest["pages"], manifest["delivery"]):
            _check_receipt(one, keys)
        _check_signature(manifest, keys)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise _broken("The manifest or the key set lacks something, or is none.") from None
    return Proven(content, manifest)


def statement_of(manifest: Mapping[str, Any], event_id: str) -> dict[str, str]:
    """What the gateway signs of a manifest that lacks its delivery: its digest, and the entry of the delivery."""
    return {"event_id": event_id, "manifest_sha256": hashlib.sha256(canonical(manifest)).hexdigest()}


def _split(answer: bytes) -> tuple[memoryview, Any]:
    boundary = answer[: answer.find(_BREAK)]
    end = answer.rfind(_BREAK + boundary + b"--" + _BREAK)
    middle = answer.rfind(_BREAK + boundary + _BREAK, 0, end)
    if not boundary.startswith(b"--") or end < 0 or middle < 0:
        raise _broken("The answer was cut off, or is none of a file.")
    start = answer.find(_BREAK * 2) + 4
    manifest = answer.find(_BREAK * 2, middle) + 4
    return memoryview(answer)[start:middle], parse(answer[manifest:end])


def _check_content(content: memoryview, manifest: Mapping[str, Any]) -> None:
    pages = manifest["pages"]
    if hashlib.sha256(content).hexdigest() != manifest["sha256"] or len(content) != manifest["bytes"]:
        raise _broken("The file is not the one that the manifest describes.")
    if sum(page["records"] for page in pages) != manifest["records"]:
        raise _broken("The pages have other records than the file.")
    at = len(content) - sum(page["bytes"] for page in pages)
    for page in pages:
        piece, at = content[at : at + page["bytes"]], at + page["bytes"]
        if hashlib.sha256(piece).hexdigest() != page["sha256"]:
            raise _broken("A page is not the one that the manifest describes.")


def _check_receipt(one: Mapping[str, Any], keys: Mapping[str, Mapping[str, Any]]) -> None:
    if verify(one["receipt"], _key_of(one["receipt"], keys)).event_id != one["event_id"]:
        raise _broken("A receipt is another entry's.")


def _check_signature(manifest: Mapping[str, Any], keys: Mapping[str, Mapping[str, Any]]) -> None:
    delivery = manifest["delivery"]
    said = {name: value for name, value in manifest.items() if name != "delivery"}
    signed = verify_statement(delivery["signature"], _key_of(delivery["signature"], keys), MANIFEST_TYPE)
    if signed != canonical(statement_of(said, delivery["event_id"])):
        raise _broken("The manifest is not the one that the gateway signed.")


def _key_of(signed: str, keys: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    header = signed.partition(".")[0]
    kid = json.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    if kid not in keys:
        raise _broken("A receipt is signed by a key that the key set does not have.")
    return keys[kid]


def _broken(detail: str) -> Invalid:
    return Invalid("file_unproven", detail, remedy="Ask for the file again.")
