"""The owner's steps: identify, extend, grant, refuse. A refusal has reasons, and says where to complain and to sue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, update

from gateway.agreements.fields import choice, choices, members, own_words
from gateway.canonical import canonical
from gateway.database import Query
from gateway.errors import Conflicting
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger
from gateway.rights.granting import Granting
from gateway.rights.identity import stated
from gateway.rights.request import Request, decide, entry, existing, require_moved, seal_answer
from gateway.rights.requests import Requests
from gateway.rights.states import ASKED_WHEN_OPEN, EXTENSIONS, REFUSALS, Step, after
from gateway.rights.tables import rights_request
from gateway.rights.tasks import ask_recipients, end_tasks
from gateway.vault.keyring import KeyRing, MemberKeys

_IDENTIFY = Query(
    update(rights_request)
    .values(state=bindparam("new_state", type_=Text), identity=bindparam("shown", type_=Text))
    .where(rights_request.c.id == bindparam("the_id"), rights_request.c.state == bindparam("old_state"))
)
_EXTEND = Query(
    update(rights_request)
    .values(
        extended=1,
        due_at=bindparam("due", type_=BigInteger),
        provisional=bindparam("unsure", type_=BigInteger),
        outcome=bindparam("told", type_=Text),
    )
    .where(
        rights_request.c.id == bindparam("the_id"),
        rights_request.c.state == bindparam("old_state"),
        rights_request.c.extended == 0,
    )
)


class Answering:
    """Takes each step under the lock of the owner's log, with its entry. All need `withdraw`.

    A suspended member has that action, and answers too: a dispute between companies never stands in a person's way.
    """

    def __init__(self, ledger: Ledger, keyring: KeyRing, requests: Requests, granting: Granting) -> None:
        self._ledger = ledger
        self._keyring = keyring
        self._requests = requests
        self._granting = granting

    async def identify(self, subject: Subject, request_id: str, given: Mapping[str, Any]) -> Request:
        """State how it was shown who asks; everybody who ever received is asked, where the kind wants it."""
        found = await self._owned(subject, request_id)
        shown = stated(found, given)
        async with self._ledger.changing(found.owner) as change:
            standing = await existing(change.tx, request_id)
            state = after(standing.state, Step.IDENTIFY)
            text = canonical(shown).decode()
            names = {"old_state": standing.state.value, "new_state": state.value, "shown": text}
            require_moved(await change.tx.run(_IDENTIFY, the_id=request_id, **names))
            change.enter(entry(standing, "right_identified", _actor(subject), **shown))
            if standing.kind in ASKED_WHEN_OPEN:
                await ask_recipients(change, standing)
        return await self._owned(subject, request_id)

    async def extend(self, subject: Subject, request_id: str, reason: Any) -> Request:
        """Take longer, once, where the profile allows it (GDPR 12(3)); the person reads why. `Conflicting` else."""
        found = await self._owned(subject, request_id)
        because = choice(reason, "/reason", EXTENSIONS)
        async with self._ledger.changing(found.owner) as change:
            standing = await existing(change.tx, request_id)
            after(standing.state, Step.EXTEND)
            span = standing.profile.extended
            if span is None or standing.extended or change.now_ms > standing.due_at:
                raise Conflicting("not_extensible", "This clock is not extended, or not any more.", field="/reason")
            due = standing.profile.due(standing.received_at, span)
            told = canonical({"extended_because": because}).decode()
            names = {"due": due.at, "unsure": int(due.provisional), "told": told, "old_state": standing.state.value}
            require_moved(await change.tx.run(_EXTEND, the_id=request_id, **names))
            change.enter(entry(standing, "right_extended", _actor(subject), due_at=due.at, because=because))
        return await self._owned(subject, request_id)

    async def grant(self, subject: Subject, request_id: str, given: Mapping[str, Any]) -> Request:
        """Do what was asked, and answer: `text` for the person, and what the kind asks for (`granting`)."""
        found = await self._owned(subject, request_id)
        asked = {name: value for name, value in given.items() if name != "text"}
        text = own_words(given.get("text"), "/text")
        keys = await self._keyring.unlock(found.owner)
        async with self._ledger.changing(found.owner, narrows={found.owner}) as change:
            standing = await existing(change.tx, request_id)
            after(standing.state, Step.ANSWER)
            await self.settle(change, standing, text, keys, asked, _actor(subject))
        return await self._owned(subject, request_id)

    async def settle(
        self,
        change: Change,
        of: Request,
        text: str,
        keys: MemberKeys,
        asked: Mapping[str, Any],
        actor: Mapping[str, str],
    ) -> None:
        """Grant a request in a change that narrows its owner, with its entry."""
        granted = await self._granting.grant(change, of, asked, actor)
        await decide(change.tx, of, granted.step, granted.outcome, seal_answer(keys, of.id, text), change.now_ms)
        act = "right_restricted" if granted.step is Step.RESTRICT else "right_granted"
        change.enter(entry(of, act, actor, **granted.outcome))

    async def refuse(self, subject: Subject, request_id: str, given: Mapping[str, Any]) -> Request:
        """Refuse, with `reasons` (PIPL 50, GDPR 12(4)) and `text`; the person also reads where to complain and sue."""
        members(given, ("reasons", "text"), "")
        found = await self._owned(subject, request_id)
        reasons = choices(given["reasons"], "/reasons", REFUSALS)
        text = own_words(given["text"], "/text")
        keys = await self._keyring.unlock(found.owner)
        async with self._ledger.changing(found.owner) as change:
            standing = await existing(change.tx, request_id)
            after(standing.state, Step.REFUSE)
            outcome = {"reasons": list(reasons)}
            sealed = seal_answer(keys, request_id, text)
            await decide(change.tx, standing, Step.REFUSE, outcome, sealed, change.now_ms)
            await end_tasks(change, standing)
            change.enter(entry(standing, "right_refused", _actor(subject), because=list(reasons)))
        return await self._owned(subject, request_id)

    async def _owned(self, subject: Subject, request_id: str) -> Request:
        subject.require("withdraw")
        return await self._requests.owned(subject, request_id)


def _actor(subject: Subject) -> dict[str, str]:
    return {"member": subject.member, "client": subject.client}
