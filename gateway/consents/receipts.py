"""Consent receipts: signed by the gateway, for the person and for the recipient, and verified by anybody offline.

A compact JWS (RFC 7515) of `typ: consent-receipt+jws`, `alg: Ed25519` (RFC 9864), over the RFC 8785 bytes of its
payload. It attests what the gateway recorded; it is no signature of the person. Signing is deterministic, so a
receipt that was never kept is the same when it is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, select

from gateway.canonical import parse_canonical
from gateway.consents.events import events_of
from gateway.consents.notice import Notice
from gateway.consents.receipt_text import TYPE, customers_copy, kind_of, partners_copy
from gateway.consents.record import Record, chosen
from gateway.consents.tables import consent_receipt, consent_record, notice
from gateway.database import Query, Reading, Row, Transaction
from gateway.errors import Invalid, NotFound
from gateway.identifiers import random_id
from gateway.ledger.receipts import ReceiptSigner, named_key, verify_statement
from gateway.vault.keyring import KeyRing

_NEW = Query(insert(consent_receipt))
_KEPT = Query(
    select(consent_receipt)
    .where(consent_receipt.c.record_id == bindparam("record"))
    .order_by(consent_receipt.c.event_sequence, consent_receipt.c.at)
)
_NOTICE = Query(select(notice).where(notice.c.id == bindparam("id")))
_RECORD = Query(chosen(consent_record.c.id == bindparam("id")))


class Kept(NamedTuple):
    """One receipt of a record. `at` in milliseconds."""

    kind: str
    sequence: int
    at: int
    jws: str


class ConsentReceipts:
    """Receipts of records, signed with the key that signs access receipts."""

    def __init__(self, signer: ReceiptSigner, keyring: KeyRing) -> None:
        self._signer = signer
        self._keyring = keyring

    async def sign(
        self, tx: Transaction, record: Record, kind: str, at: int, *, more: Mapping[str, Any] | None = None
    ) -> str:
        """Keep a receipt of this kind about the record's newest event; returns the customer's copy. `at` in ms.

        `more` stands in it beside, or in place of, what every receipt says.
        """
        events = await events_of(tx, record.id)
        if not events:
            raise NotFound
        jws = self._signed(record, await _notice_of(tx, record), events[-1], kind, more)
        await tx.run(
            _NEW, id=random_id(), record_id=record.id, event_sequence=record.sequence, kind=kind, jws=jws, at=at
        )
        return jws

    async def of(self, reading: Reading, record_id: str) -> list[Kept]:
        """Every receipt of a record, the customer's copies, in order; `NotFound` where there is no such record."""
        record = await _record_of(reading, record_id)
        kept = {
            (row["event_sequence"], row["kind"]): Kept(row["kind"], row["event_sequence"], row["at"], row["jws"])
            for row in await reading.all(_KEPT, record=record_id)
        }
        told = await _notice_of(reading, record)
        for event in await events_of(reading, record_id):
            kind = kind_of(record, event)
            if kind is not None and (event["sequence"], kind) not in kept:
                jws = self._signed(record, told, event, kind)
                kept[event["sequence"], kind] = Kept(kind, event["sequence"], event["at"], jws)
        return [kept[place] for place in sorted(kept)]

    async def for_partner(self, reading: Reading, record: Record) -> str:
        """The recipient's copy of what stands."""
        given = [one for one in await events_of(reading, record.id) if kind_of(record, one) in _GIVING]
        if not given:
            raise NotFound
        keys = await self._keyring.unlock(record.owner)
        pairwise = keys.pseudonym(f"{record.recipient} {record.pseudonym}")
        payload = partners_copy(record, await _notice_of(reading, record), given[-1], pairwise=pairwise)
        return self._signer.state(TYPE, payload)

    def _signed(
        self, record: Record, told: Notice | None, event: Row, kind: str, more: Mapping[str, Any] | None = None
    ) -> str:
        return self._signer.state(TYPE, customers_copy(record, told, event, kind) | dict(more or {}))


_GIVING = ("given", "guardian", "amended")


def verify_receipt(text: str, jwks: Mapping[str, Any], notice_bytes: bytes | None = None) -> Mapping[str, Any]:
    """The payload of a receipt that one of these keys signed, about exactly this notice where one is given.

    Raises:
        ReceiptRejected: Not such a receipt, or signed by none of the keys, a byte of it changed.
        Invalid: `notice_differs`, a byte of the notice changed.
    """
    payload = parse_canonical(verify_statement(text, named_key(text, jwks), TYPE))
    if notice_bytes is not None:
        digest, named = hashlib.sha256(notice_bytes).hexdigest(), payload["processing"]["notice"]["sha256"]
        if digest != named:
            raise Invalid(
                "notice_differs",
                f"The notice's SHA-256 is {digest}, the receipt names {named}: it is not what was consented to.",
                field="notice",
                remedy="Hold the receipt against the very bytes of the notice's version that it names.",
            )
    verified: Mapping[str, Any] = payload
    return verified


async def _record_of(reading: Reading, record_id: str) -> Record:
    row = await reading.one(_RECORD, id=record_id)
    if row is None:
        raise NotFound
    return Record.of(row)


async def _notice_of(reading: Reading, record: Record) -> Notice | None:
    row = None if record.notice_id is None else await reading.one(_NOTICE, id=record.notice_id)
    return None if row is None else Notice.of(row)
