"""The life of an agreement: drafted by either party, signed by both, terminated by either.

Each step is one entry in the owner's log, committed together with what it did.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import bindparam, insert, update

from gateway.agreements.agreement import Agreement, Signature
from gateway.agreements.agreements import Agreements
from gateway.agreements.amendment import check_amends, supersede
from gateway.agreements.drafting import Drafting
from gateway.agreements.ending import end
from gateway.agreements.holds import hold_anew
from gateway.agreements.proof import current_agreement, other_party
from gateway.agreements.signatures import SignatureRefused, binding_key, named_key, signed_text, verify_signature
from gateway.agreements.tables import agreement, agreement_signature
from gateway.agreements.terms import Terms, complete_proposal
from gateway.agreements.texts import keep_text, was_proposed
from gateway.canonical import canonical
from gateway.database import AlreadyExists, Database, Query, Transaction
from gateway.database.idempotency import fingerprint as request_fingerprint
from gateway.database.idempotency import recall, remember
from gateway.errors import Conflicting, Reason, Refused
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.members.keys import SigningKey
from gateway.members.members import stays_admitted

_ADD = Query(insert(agreement))
_ADD_SIGNATURE = Query(insert(agreement_signature))
_SIGNED_ONCE = Query(
    update(agreement).where(agreement.c.id == bindparam("the_id")).values(version=agreement.c.version + 1)
)
_SIGNED_BY_BOTH = Query(
    update(agreement)
    .where(agreement.c.id == bindparam("the_id"))
    .values(version=agreement.c.version + 1, state="signed", signed_at=bindparam("at"))
)


class AgreementLife:
    """Every change of an agreement; what is refused changes nothing and leaves no entry."""

    def __init__(self, database: Database, ledger: Ledger, agreements: Agreements, drafting: Drafting) -> None:
        self._database = database
        self._ledger = ledger
        self._agreements = agreements
        self._drafting = drafting

    async def draft(self, subject: Subject, proposal: bytes, *, idempotency_key: str | None = None) -> bytes:
        """File a draft; returns its description as JSON, equal for an equal request with the same key.

        `proposal` is JSON with every member of the terms but `v`, `alliance` and `agreement`, which the gateway
        fills. The drafter is a party, both parties are admitted, the datasets and fields are the owner's.
        """
        subject.require("draft")
        request = request_fingerprint("POST /v1/agreements", proposal)
        client, key = subject.client, idempotency_key
        earlier = await recall(self._database, client_id=client, key=key, fingerprint=request)
        if earlier is not None:
            return earlier
        terms = complete_proposal(proposal, alliance=subject.alliance, agreement=random_id())
        await self._drafting.check(self._database, subject, terms)
        await check_amends(self._database, terms)
        try:
            return await self._file(subject, terms, key=key, request=request)
        except AlreadyExists:  # an equal request was done meanwhile
            earlier = await recall(self._database, client_id=client, key=key, fingerprint=request)
            if earlier is None:
                raise
            return earlier

    async def _file(self, subject: Subject, terms: Terms, *, key: str | None, request: str) -> bytes:
        async with self._ledger.changing(terms.owner) as change:
            await self._check_parties_stay(change.tx, terms.alliance, terms.parties)
            await change.tx.run(
                _ADD,
                id=terms.agreement,
                alliance_id=terms.alliance,
                owner_id=terms.owner,
                recipient_id=terms.recipient,
                terms=terms.text,
                terms_sha256=terms.sha256,
                state="draft",
                version=1,
                created_at=change.now_ms,
                signed_at=None,
                ended_at=None,
                superseded_by=None,
                revision=1,
            )
            await keep_text(change, terms, author=subject.member, number=1)
            drafted = await current_agreement(change.tx, terms.agreement)
            answer = canonical(drafted.describe())
            await remember(
                change.tx, client_id=subject.client, key=key, fingerprint=request, answer=answer, now_ms=change.now_ms
            )
            _enter(change, "agreement_drafted", subject, drafted)
        return answer

    async def sign(self, subject: Subject, agreement_id: str, jws: str) -> Agreement:
        """Add the member's signature; the second party's brings the agreement into force, in either order.

        An agreement that amends another ends that one in the same transaction, or is not signed. What is held between
        the parties under another agreement is held under this one, too. The key named by the JWS's `kid` must be an
        active signing key of this member, no client key, and confirmed by the other party. Signing a second time
        changes nothing.
        """
        subject.require("sign")
        seen = await self._agreements.visible(subject.member, agreement_id)
        if any(one.member == subject.member and one.jws == jws for one in seen.signatures):
            return seen
        fingerprint = named_key(jws)
        narrows = [seen.owner] if _amends(seen) else []
        async with self._ledger.changing(seen.owner, narrows=narrows) as change:
            current = await current_agreement(change.tx, agreement_id)
            if current.has_ended:
                raise Conflicting("agreement_terminated", "This agreement has ended.", remedy="Draft a new one.")
            await self._check_parties_stay(change.tx, current.alliance, current.parties)
            key = await _key_for(change.tx, current, subject.member, fingerprint)
            await _refuse_other_revision(change.tx, current, jws)
            verify_signature(jws, key.jwk, current.text)
            signed_already = {one.member for one in current.signatures}
            if subject.member in signed_already:
                return current
            if _amends(current) != _amends(seen):
                raise Conflicting("revision_stale", "The draft has another text by now.", remedy="Read it again.")
            signature, last = Signature(subject.member, fingerprint, jws, change.now_ms), len(signed_already) == 1
            if last and current.terms is not None:
                replaces = current.terms.amends is not None
                replaced = await supersede(change, current.terms, _actor(subject)) if replaces else None
                await hold_anew(change, current.terms, replaced, _actor(subject))
            await _add_signature(change.tx, agreement_id, signature, last=last)
            signed = await current_agreement(change.tx, agreement_id)
            _enter(change, "agreement_signed", subject, signed, fingerprint=fingerprint)
        return signed

    async def terminate(self, subject: Subject, agreement_id: str) -> Agreement:
        """End an agreement, or withdraw a draft: no permit follows this entry. A second time changes nothing.

        A suspended member may terminate too, and a tampered agreement can be terminated.
        """
        subject.require("sign")
        seen = await self._agreements.visible(subject.member, agreement_id)
        if seen.has_ended:
            return seen
        async with self._ledger.changing(narrows=[seen.owner]) as change:
            await end(change, agreement_id, _actor(subject))
        return await self._agreements.visible(subject.member, agreement_id)

    async def _check_parties_stay(self, tx: Transaction, alliance: str, parties: Collection[str]) -> None:
        for party in parties:
            if not await stays_admitted(tx, alliance_id=alliance, member_id=party):
                raise Refused((Reason("MEMBER_SUSPENDED", "9.2.3"),))


def _amends(one: Agreement) -> str | None:
    return one.terms.amends if one.terms else None


async def _refuse_other_revision(tx: Transaction, current: Agreement, jws: str) -> None:
    """Say so where the text that was signed once was the draft's, and is no longer."""
    signed = signed_text(jws)
    if signed != current.text and await was_proposed(tx, current.id, signed):
        raise SignatureRefused(
            "signature_over_other_revision",
            "What was signed is an earlier text of this draft.",
            remedy="Read the redline, and sign the bytes of /terms.",
        )


async def _key_for(tx: Transaction, current: Agreement, member: str, fingerprint: str) -> SigningKey:
    """The member's key, fit to sign this agreement and kept so until the transaction ends."""
    assert current.terms is not None
    return await binding_key(tx, fingerprint, member=member, confirmed_by=other_party(current.terms, member))


async def _add_signature(tx: Transaction, agreement_id: str, signature: Signature, *, last: bool) -> None:
    await tx.run(
        _ADD_SIGNATURE,
        agreement_id=agreement_id,
        member_id=signature.member,
        fingerprint=signature.fingerprint,
        jws=signature.jws,
        signed_at=signature.signed_at,
    )
    if last:
        await tx.run(_SIGNED_BY_BOTH, the_id=agreement_id, at=signature.signed_at)
    else:
        await tx.run(_SIGNED_ONCE, the_id=agreement_id)


def _enter(change: Change, act: str, subject: Subject, now: Agreement, **more: Any) -> None:
    facts = {"agreement": now.id, "version": now.version, "state": now.state, "terms_sha256": now.sha256, **more}
    change.enter(Draft(log=now.owner, kind=Kind.AGREEMENT, facts={"act": act, "actor": _actor(subject), **facts}))


def _actor(subject: Subject) -> dict[str, str]:
    return {"member": subject.member, "client": subject.client}
