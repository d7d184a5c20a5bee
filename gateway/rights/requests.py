"""Requests opened and looked at. What was asked is sealed; reading it is an entry first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, func, insert, or_, select

from gateway.agreements.fields import own_words
from gateway.canonical import canonical
from gateway.catalog.datasets import Datasets
from gateway.consents.same_person import subjects_at
from gateway.database import Database, Query, Reading
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger
from gateway.members.members import admission
from gateway.rights.erasing import ERASED
from gateway.rights.neighbours import Following, followed
from gateway.rights.profiles import Profile, profile_of
from gateway.rights.request import OF_OWNER, OF_PERSON, WAITING_IN, Person, Request, entry, existing, seal_asked
from gateway.rights.states import ASKED_WHEN_OPEN, WAITING, RequestState, RightKind
from gateway.rights.tables import rights_request
from gateway.rights.tasks import ask_recipients
from gateway.vault.keyring import KeyRing

MOST_WAITING: Final = 8
"""Requests of one person that wait at one owner; one more would hide the others."""
GUARDIAN: Final = "guardian"
BEHALF: Final = ("self", GUARDIAN, "next_of_kin")
LANGUAGES: Final = ("zh-CN", "en")
_UNANSWERED: Final = {"extended": 0, "answer": "", "outcome": "", "decided_at": None, "case_id": None}
_ADD = Query(insert(rights_request))
_WAITING = Query(
    select(func.count().label("count")).where(
        rights_request.c.owner_id == bindparam("owner"),
        rights_request.c.pseudonym == bindparam("pseudonym"),
        or_(*(rights_request.c.state == state.value for state in WAITING)),
    )
)


class Requests:
    """Opens requests, for the person's page and for owners, and shows them to both."""

    def __init__(
        self, database: Database, ledger: Ledger, keyring: KeyRing, datasets: Datasets, following: Following
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._datasets = datasets
        self._following = following

    async def open(
        self,
        person: Person,
        kind: RightKind,
        text: str,
        *,
        visit: str,
        language: str = "zh-CN",
        behalf: str = "self",
        profile: str = "cn",
    ) -> str:
        """Open a request for somebody on the page, in a confirmed `visit`, as it is named to the owner; returns the
        request's id.

        The visit shows who the person is. A guardian's or a relative's right is the owner's to look at first. `text`
        is 1 to 8,000 characters, `Invalid` otherwise; `Conflicting` while eight of the person's requests wait.
        """
        by = {"visit": visit}
        identity = {"how": "visit", "visit": visit} if behalf == "self" else None
        return await self._open(
            person, kind, text, profile_of(profile), behalf, language, "page", by=by, identity=identity
        )

    async def open_for(self, subject: Subject, dataset_id: str, asked: Mapping[str, Any]) -> str:
        """Open, as the owner, a request that came by letter or at a counter. Needs `withdraw`."""
        subject.require("withdraw")
        dataset = await self._datasets.owned(subject, dataset_id)
        if dataset.kind != "personal":
            raise Conflicting("not_personal", "The dataset is about no persons.", field="/dataset")
        keys = await self._keyring.unlock(dataset.owner)
        person = Person(dataset.owner, keys.pseudonym(dataset.subject_of(asked["subject"])))
        return await self._open(
            person,
            asked["kind"],
            asked["text"],
            profile_of(asked["profile"]),
            asked["behalf"],
            asked["language"],
            "owner",
            by={"member": subject.member, "client": subject.client},
            identity=None,
        )

    async def _open(
        self,
        person: Person,
        kind: RightKind,
        text: str,
        profile: Profile,
        behalf: str,
        language: str,
        origin: str,
        *,
        by: Mapping[str, str],
        identity: Mapping[str, str] | None,
    ) -> str:
        _require_known(profile, kind, behalf, language)
        home = await admission(self._database, person.owner)
        assert home is not None, "whoever holds data of persons is a member"
        keys = await self._keyring.unlock(person.owner)
        request_id = random_id()
        sealed = seal_asked(keys, request_id, own_words(text, "/text"))
        async with self._ledger.changing(person.owner) as change:
            await _require_room(change, person)
            due = profile.due(change.now_ms, profile.answer)
            row = {
                **_UNANSWERED,
                "id": request_id,
                "alliance_id": home.alliance,
                "owner_id": person.owner,
                "pseudonym": person.pseudonym,
                "kind": kind.value,
                "profile": profile.name,
                "behalf": behalf,
                "origin": origin,
                "language": language,
                "sealed": sealed,
                "state": (RequestState.OPEN if identity else RequestState.RECEIVED).value,
                "identity": canonical(dict(identity)).decode() if identity else "",
                "received_at": change.now_ms,
                "due_at": due.at,
                "provisional": int(due.provisional),
            }
            await change.tx.run(_ADD, **row)
            made = Request.of(row)
            facts = {"profile": profile.name, "behalf": behalf, "due_at": due.at}
            change.enter(entry(made, "right_requested", by, **facts))
            if identity and kind in ASKED_WHEN_OPEN:
                await ask_recipients(change, made)
        return request_id

    async def of_person(self, reading: Reading, person: Person) -> list[dict[str, Any]]:
        """Every request of a person at one owner, with what was written on both sides, for that person alone."""
        rows = await reading.all(OF_PERSON, owner=person.owner, pseudonym=person.pseudonym)
        keys = await self._keyring.unlock(person.owner)
        return [one.describe() | one.opened(keys) for one in map(Request.of, rows)]

    async def page(self, subject: Subject, *, after: str, limit: int) -> Sequence[Request]:
        """Up to `limit` requests to the subject's member, by id, behind `after`."""
        rows = await self._database.all(OF_OWNER, owner=subject.member, after=after, most=limit)
        return [Request.of(row) for row in rows]

    async def waiting(self, alliance: str) -> Sequence[Request]:
        """What waits for an answer in an alliance, the most urgent first; for operators."""
        return [Request.of(row) for row in await self._database.all(WAITING_IN, alliance=alliance)]

    async def owned(self, subject: Subject, request_id: str) -> Request:
        """A request to the subject's own member; `NotFound` for everybody else's."""
        found = await existing(self._database, request_id)
        if found.owner != subject.member:
            raise NotFound
        return found

    async def read(self, subject: Subject, request_id: str) -> dict[str, Any]:
        """A request with what was asked and answered, after the entry that says who read it. Needs `withdraw`.

        Of a deletion also how far each recipient is: the person has no page any more, and hears it from the owner.
        """
        subject.require("withdraw")
        found = await self.owned(subject, request_id)
        keys = await self._keyring.unlock(found.owner)
        async with self._ledger.changing(found.owner) as change:
            change.enter(entry(found, "right_read", {"member": subject.member, "client": subject.client}))
        return found.describe() | found.opened(keys) | await self._erased(found)

    async def _erased(self, of: Request) -> dict[str, Any]:
        if of.kind is not RightKind.DELETION:
            return {}
        async with self._database.reading() as reading:
            subjects = await subjects_at(reading, *of.person)
            found = [one for each in subjects for one in await self._following.of_person(reading, of.owner, each)]
        return {"followed": [followed(one) for one in found if one.cause == ERASED]}


def _require_known(profile: Profile, kind: RightKind, behalf: str, language: str) -> None:
    if language not in LANGUAGES:
        raise Invalid("unknown_language", f"The languages are {' and '.join(LANGUAGES)}.", field="/language")
    if behalf not in BEHALF:
        raise Invalid("unknown_behalf", f"It is one of {', '.join(BEHALF)}.", field="/behalf")
    if behalf == "next_of_kin" and kind not in profile.next_of_kin:
        raise Invalid(
            "not_for_relatives",
            "Relatives of somebody who died cannot ask for this here.",
            field="/kind",
            remedy=f"They can ask for {', '.join(profile.next_of_kin)}." if profile.next_of_kin else None,
        )


async def _require_room(change: Change, person: Person) -> None:
    waiting = await change.tx.one(_WAITING, owner=person.owner, pseudonym=person.pseudonym)
    assert waiting is not None
    if waiting["count"] >= MOST_WAITING:
        raise Conflicting("too_many_requests", f"{MOST_WAITING} requests wait already.", field="/kind")
