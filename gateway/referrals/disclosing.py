"""Accepted -> disclosed: the one act of a referral that yields personal data, and it does so through the seam alone.

`EnforcementPoint.release` decides anew in that second, joins the consent in the statement that fetches, and enters what
is opened before it is. Only if the referral still stands then is the answer given.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from gateway.access.release import Release
from gateway.access.request import AccessRequest
from gateway.clock import Clock
from gateway.database import Database
from gateway.errors import NotFound, Reason, Refused
from gateway.identity import SignedRequest
from gateway.identity.subject import Subject
from gateway.ledger import Draft, Effect, Kind, Ledger
from gateway.referrals.drafting import record_of
from gateway.referrals.entries import about, enter_both
from gateway.referrals.referral import Referral, existing, of_party
from gateway.referrals.states import Event, Standing, State, follow
from gateway.referrals.views import told_to
from gateway.referrals.writing import move
from gateway.vault.keyring import KeyRing

CONSENT_REQUIRED = Reason("CONSENT_REQUIRED", "4.3.1")
_NO_RECORD = "0" * 32


class Releasing(Protocol):
    """The enforcement point."""

    async def release(self, request: AccessRequest) -> Release:
        """Answer with data or raise a refusal; either way, the entry is committed first."""


class Disclosed(NamedTuple):
    """The referral as the recipient sees it now, and what was released with it."""

    seen: dict[str, Any]
    release: Release


class Disclosing:
    """Discloses to the recipient, and to nobody else."""

    def __init__(
        self, database: Database, ledger: Ledger, keyring: KeyRing, enforcement: Releasing, clock: Clock
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._enforcement = enforcement
        self._clock = clock

    async def disclose(self, subject: Subject, referral_id: str, signed: SignedRequest | None = None) -> Disclosed:
        """The consented fields of the accepted person; needs `refer`, and `read` under the agreement.

        A second time, before the first contact, is a fresh decision too. `Refused` with CONSENT_REQUIRED (4.3.1), on
        record, where the consent does not stand: nothing leaves, whatever was accepted or disclosed before. What the
        policy refuses is refused as every access is.
        """
        subject.require("refer")
        seen = await self._recipients(subject, referral_id)
        if seen.standing is not Standing.GIVEN:
            await self._refuse(subject, seen)
        follow(seen.state, Event.DISCLOSE)
        keys = await self._keyring.unlock(seen.owner)
        release = await self._released(subject, seen, signed)
        async with self._ledger.changing(seen.owner, seen.recipient) as change:
            found = await existing(change.tx, referral_id, change.now_ms)
            found.require_free()
            is_again, state = found.state is State.DISCLOSED, follow(found.state, Event.DISCLOSE)
            moved = await move(change, found, state)
            facts = {"access": release.recorded.event_id, "fields": list(release.fields)}
            enter_both(
                change, "referral_disclosed_again" if is_again else "referral_disclosed", subject, moved, **facts
            )
        return Disclosed(told_to(subject.member, moved, keys), release)

    async def _recipients(self, subject: Subject, referral_id: str) -> Referral:
        seen = await of_party(self._database, referral_id, subject.member, self._clock())
        if subject.member != seen.recipient:
            raise Refused((Reason("OTHER_SIDE_ONLY"),))
        seen.require_free()
        return seen

    async def _released(self, subject: Subject, seen: Referral, signed: SignedRequest | None) -> Release:
        record = await record_of(self._database, seen.row["dataset_no"], seen.row["pseudonym"])
        request = AccessRequest(
            subject=subject,
            agreement=seen.row["agreement_id"],
            dataset=seen.row["dataset_id"],
            purpose=seen.row["purpose"],
            record=record or _NO_RECORD,
            limit=1,
            signed=signed,
        )
        try:
            return await self._enforcement.release(request)
        except NotFound:
            await self._refuse(subject, seen)
            raise

    async def _refuse(self, subject: Subject, seen: Referral) -> None:
        """On record in the owner's log, then raised."""
        facts = {"act": "referral_refused", "actor": subject.actor(), **about(seen)}
        draft = Draft(log=seen.owner, kind=Kind.REFERRAL, effect=Effect.DENY, reasons=(CONSENT_REQUIRED,), facts=facts)
        recorded = await self._ledger.record(draft)
        raise Refused((CONSENT_REQUIRED,), event_id=recorded.event_id, log=recorded.log)
