"""Drafting a referral, by the owner of the dataset that the person is in."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import and_, bindparam, insert, or_, select

from gateway.agreements import Agreement, Agreements
from gateway.agreements.fields import IDENTIFIER, PURPOSE, matching, members, text
from gateway.canonical import canonical, parse_canonical
from gateway.catalog.dataset import Dataset
from gateway.catalog.datasets import Datasets
from gateway.catalog.subject_keys import require_key, subject_keys
from gateway.catalog.tables import record, upload
from gateway.clock import Clock, seconds
from gateway.confidentiality.filing import Filing
from gateway.consents.contacts import BlindIndex
from gateway.database import Database, Query, Reading
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger
from gateway.referrals.entries import enter_both
from gateway.referrals.finance import Finance
from gateway.referrals.keys import keep_terms, terms_of
from gateway.referrals.policy import BASIS_POINTS
from gateway.referrals.preview import Preview
from gateway.referrals.previews import sealed
from gateway.referrals.referral import existing
from gateway.referrals.states import OPEN, State
from gateway.referrals.tables import referral
from gateway.referrals.views import told_to
from gateway.vault.keyring import KeyRing

PURPOSE_OF_REFERRALS: Final = "customer_referral"
_LONGEST_SUBJECT: Final = 1024
_ADD = Query(insert(referral))
_RECORD = Query(
    select(record.c.id)
    .join(upload, upload.c.no == record.c.upload_no)
    .where(
        record.c.dataset_no == bindparam("dataset_no"),
        record.c.pseudonym == bindparam("pseudonym"),
        upload.c.state == "published",
    )
    .order_by(upload.c.published_at.desc(), record.c.id)
    .limit(1)
)
_STANDING = Query(
    select(referral.c.id).where(
        referral.c.dataset_no == bindparam("dataset_no"),
        referral.c.pseudonym == bindparam("pseudonym"),
        referral.c.recipient_id == bindparam("recipient"),
        referral.c.purpose == bindparam("purpose"),
        or_(
            *(referral.c.state == state.value for state in (*sorted(OPEN), State.DRAFT, State.CONSENT_PENDING)),
            and_(referral.c.state == State.DUPLICATE.value, referral.c.due_at.is_not(None)),
        ),
    )
)


class Drafting:
    """Makes drafts. Nobody but the referrer learns of one."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        agreements: Agreements,
        keyring: KeyRing,
        index: BlindIndex,
        clock: Clock,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._agreements = agreements
        self._datasets = Datasets(database, ledger)
        self._keyring = keyring
        self._index = index
        self._clock = clock

    async def draft(self, filing: Filing, said: dict[str, Any]) -> bytes:
        """Refer one person of one's own dataset to the recipient of an agreement. Needs the action `refer`.

        `subject` is the value of the dataset's subject field; it is never stored, nor is anything of `contact`. The
        agreement is in force and covers the dataset for the purpose. `Conflicting` while a referral of this person to
        this recipient is open.
        """
        subject = filing.subject
        subject.require("refer")
        members(said, ("agreement", "dataset", "subject", "preview"), "", optional=("purpose", "contact"))
        preview = Preview.read(said["preview"])
        purpose = matching(said.get("purpose", PURPOSE_OF_REFERRALS), "/purpose", PURPOSE)
        terms = await terms_of(self._index, said.get("contact", {}))
        found, dataset = await self._place(subject, said, purpose)
        person = text(said["subject"], "/subject")
        if len(person) > _LONGEST_SUBJECT:
            raise Invalid("invalid_subject", "The subject field cannot have this value.", field="/subject")
        keys = await self._keyring.unlock(dataset.owner)
        pseudonym = keys.pseudonym(dataset.subject_of(person))
        if await record_of(self._database, dataset.no, pseudonym) is None:
            raise Invalid("subject_unknown", "The dataset has no such person.", field="/subject")
        referral_id = random_id()
        key = (await subject_keys(self._database, keys, [pseudonym], self._clock()))[pseudonym]
        words = sealed(keys, key, dataset.id, referral_id, preview)

        async def work(change: Change) -> Any:
            about = {"dataset_no": dataset.no, "pseudonym": pseudonym, "purpose": purpose}
            if await change.tx.one(_STANDING, **about, recipient=found.recipient) is not None:
                raise Conflicting("referral_stands", "A referral of this person to this member is open.")
            await require_key(change.tx, key.id)
            await change.tx.run(
                _ADD,
                **_empty(),
                **about,
                **words,
                id=referral_id,
                alliance_id=found.alliance,
                agreement_id=found.id,
                dataset_id=dataset.id,
                owner_id=found.owner,
                recipient_id=found.recipient,
                subject_key_id=key.id,
                drafted_at=change.now_ms,
                changed_at=change.now_ms,
            )
            await keep_terms(change.tx, referral_id, found.recipient, terms)
            made = await existing(change.tx, referral_id, change.now_ms)
            enter_both(change, "referral_drafted", subject, made, purpose=purpose)
            return {"id": made.id}  # what is kept for an equal request; never the words of the preview

        kept = parse_canonical(await filing.once(self._database, self._ledger, work, found.owner))
        made = await existing(self._database, kept["id"], self._clock())
        return canonical(told_to(subject.member, made, keys))

    async def _place(self, subject: Subject, said: dict[str, Any], purpose: str) -> tuple[Agreement, Dataset]:
        found = await self._agreements.visible(subject.member, matching(said["agreement"], "/agreement", IDENTIFIER))
        if found.owner != subject.member:
            raise NotFound
        dataset = await self._datasets.owned(subject, matching(said["dataset"], "/dataset", IDENTIFIER))
        term = found.terms.term_for(dataset.id) if found.terms else None
        if term is None or purpose not in term.purposes or dataset.kind != "personal":
            raise Invalid(
                "referral_not_agreed",
                "The agreement covers no such dataset of persons for this purpose.",
                field="/dataset",
                remedy="Agree on it first (clause 4.3.1).",
            )
        if not found.in_force_at(seconds(self._clock())):
            raise Conflicting("agreement_not_in_force", "The agreement is not in force.", field="/agreement")
        return found, dataset


async def record_of(reading: Reading, dataset_no: int, pseudonym: str) -> str | None:
    """The id of the person's newest published record, or None."""
    row = await reading.one(_RECORD, dataset_no=dataset_no, pseudonym=pseudonym)
    return None if row is None else bytes(row["id"]).hex()


def _empty() -> dict[str, Any]:
    nothing = (
        "value_minor value_currency clawed_minor sequence submitted_at ready_at offered_at due_at protected_until"
        " attributed_until"
    )
    return {
        **dict.fromkeys(nothing.split()),
        "state": State.DRAFT.value,
        "finance": Finance.NONE.value,
        "reason": "",
        "policy": "",
        "conflict_id": "",
        "shown": 0,
        "share": BASIS_POINTS,
    }
