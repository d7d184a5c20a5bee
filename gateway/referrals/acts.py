"""What the two sides do about a referral, each act one change with its entries in the logs of both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import insert

from gateway.agreements import Agreements
from gateway.agreements.fields import choice, members, sentence
from gateway.canonical import canonical
from gateway.clock import Clock
from gateway.confidentiality.filing import Filing
from gateway.database import Database, Query
from gateway.errors import Conflicting, Reason, Refused
from gateway.identifiers import random_id
from gateway.ledger import Change, Ledger
from gateway.referrals import finance
from gateway.referrals.cohorts import shared_values
from gateway.referrals.conflicts import rivals_in_conflict, set_aside_the_others
from gateway.referrals.entries import enter_both
from gateway.referrals.finance import Value
from gateway.referrals.preview import PARTS, Preview
from gateway.referrals.previews import resealed
from gateway.referrals.referral import Referral, of_party
from gateway.referrals.registering import register, require_in_force
from gateway.referrals.states import REFERRERS, Event, Standing, State, follow
from gateway.referrals.tables import referral_note
from gateway.referrals.views import told_state, told_to
from gateway.referrals.writing import move
from gateway.vault.keyring import KeyRing, MemberKeys

REASONS: Final = ("no_capacity", "outside_area", "not_our_offer", "not_reachable", "not_interested", "other")
"""Why a recipient declines or ends it; words alone, so that nothing of a person is told here."""
LONGEST_NOTE: Final = 200
_UNDER_AGREEMENT: Final = (Event.SUBMIT, Event.ACCEPT)
"""What begins something, and so needs an agreement in force; what is reported and ended does not."""

_NOTE = Query(insert(referral_note))


class Doing(NamedTuple):
    """One act under way."""

    change: Change
    filing: Filing
    found: Referral
    said: Mapping[str, Any]
    keys: MemberKeys
    """The referrer's."""


async def _submit(doing: Doing) -> Referral:
    change, found = doing.change, doing.found
    pending = await move(change, found, follow(found.state, Event.SUBMIT), submitted_at=change.now_ms)
    enter_both(change, "referral_submitted", doing.filing.subject, pending)
    if pending.standing is not Standing.GIVEN:
        return pending
    ready = await register(change, pending)
    enter_both(change, "referral_registered", doing.filing.subject, ready)
    return ready


async def _answer(doing: Doing) -> Referral:
    change, found = doing.change, doing.found
    state = follow(found.state, Event.ANSWER)
    words = resealed(doing.keys, found, Preview.read(doing.said["preview"]))
    reworded = await _moved(doing, "referral_answered", state, **words)
    shown = await shared_values(change.tx, reworded)
    return await move(change, reworded, state, due_at=reworded.row["due_at"], shown=shown)


async def _cancel(doing: Doing) -> Referral:
    return await _moved(doing, "referral_cancelled", follow(doing.found.state, Event.CANCEL), reason="")


async def _accept(doing: Doing) -> Referral:
    doing.found.require_unfrozen()
    await set_aside_the_others(doing.change, doing.found, doing.filing.subject)
    return await _moved(doing, "referral_accepted", follow(doing.found.state, Event.ACCEPT))


async def _decline(doing: Doing) -> Referral:
    return await _ended(doing, "referral_declined", Event.DECLINE)


async def _ask(doing: Doing) -> Referral:
    about = choice(doing.said["about"], "/about", PARTS)
    return await _moved(doing, "referral_asked", follow(doing.found.state, Event.ASK), reason=f"asks:{about}")


async def _contact(doing: Doing) -> Referral:
    return await _moved(doing, "referral_contacted", follow(doing.found.state, Event.CONTACT))


async def _update(doing: Doing) -> Referral:
    return await _moved(doing, "referral_updated", follow(doing.found.state, Event.UPDATE))


async def _qualify(doing: Doing) -> Referral:
    return await _moved(doing, "referral_qualified", follow(doing.found.state, Event.QUALIFY))


async def _unqualify(doing: Doing) -> Referral:
    return await _ended(doing, "referral_unqualified", Event.UNQUALIFY)


async def _win(doing: Doing) -> Referral:
    state = follow(doing.found.state, Event.WIN)
    if doing.change.now_ms >= doing.found.row["attributed_until"]:
        raise Conflicting("attribution_over", "The agreed time of attribution is over.", remedy="Report it as lost.")
    worth = Value.read(doing.said["value"])
    accrued = finance.follow(doing.found.finance, "accrue")
    new = {"finance": accrued.value, "value_minor": worth.minor, "value_currency": worth.currency}
    return await _moved(doing, "referral_won", state, **new)


async def _lose(doing: Doing) -> Referral:
    return await _ended(doing, "referral_lost", Event.LOSE)


async def _report(doing: Doing, step: str, **new: Any) -> Referral:
    after = finance.follow(doing.found.finance, step)
    facts = {"step": step, "finance": after.value}
    moved = await move(doing.change, doing.found, doing.found.stored, finance=after.value, **new)
    enter_both(doing.change, "referral_value_reported", doing.filing.subject, moved, **facts)
    return moved


async def _account(doing: Doing) -> Referral:
    return await _report(doing, choice(doing.said["step"], "/step", ("hold", "release", "settle")))


async def _claw_back(doing: Doing) -> Referral:
    finance.follow(doing.found.finance, "claw_back")
    back, accrued = Value.read(doing.said["value"]), doing.found.value
    assert accrued is not None
    back.within(accrued)
    return await _report(doing, "claw_back", clawed_minor=back.minor)


async def _ended(doing: Doing, act: str, event: Event) -> Referral:
    reason = choice(doing.said["reason"], "/reason", REASONS)
    return await _moved(doing, act, follow(doing.found.state, event), reason=reason)


async def _moved(doing: Doing, act: str, state: State, **new: Any) -> Referral:
    moved = await move(doing.change, doing.found, state, **new)
    reason = {"reason": new["reason"]} if new.get("reason") else {}
    enter_both(doing.change, act, doing.filing.subject, moved, **reason)
    return moved


class Act(NamedTuple):
    """How an act is done, and which members its body has beside `act`."""

    do: Callable[[Doing], Awaitable[Referral]]
    members: tuple[str, ...] = ()


ACTS: Final[Mapping[str, Act]] = MappingProxyType(
    {
        Event.SUBMIT.value: Act(_submit),
        Event.ANSWER.value: Act(_answer, ("preview",)),
        Event.CANCEL.value: Act(_cancel),
        Event.ACCEPT.value: Act(_accept),
        Event.DECLINE.value: Act(_decline, ("reason",)),
        Event.ASK.value: Act(_ask, ("about",)),
        Event.CONTACT.value: Act(_contact),
        Event.UPDATE.value: Act(_update),
        Event.QUALIFY.value: Act(_qualify),
        Event.UNQUALIFY.value: Act(_unqualify, ("reason",)),
        Event.WIN.value: Act(_win, ("value",)),
        Event.LOSE.value: Act(_lose, ("reason",)),
        "account": Act(_account, ("step",)),
        "claw_back": Act(_claw_back, ("value",)),
    }
)
"""Every act of a body's `act`; the disclosure has a route of its own, because it answers with data."""


class Acts:
    """Takes acts. Whoever is no party finds nothing; a party that does the other side's act is refused."""

    def __init__(
        self, database: Database, ledger: Ledger, agreements: Agreements, keyring: KeyRing, clock: Clock
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._agreements = agreements
        self._keyring = keyring
        self._clock = clock

    async def act(self, filing: Filing, referral_id: str, said: dict[str, Any]) -> bytes:
        """One act; needs the action `refer`. Answers with the referral as this side sees it.

        A recipient may add a `note`, which is sealed under its own key and which it alone reads. `OnHold` while a case
        holds the referral, or what one that is accepted was made under; `Conflicting` in a state that the act does not
        follow from.
        """
        subject = filing.subject
        subject.require("refer")
        name = choice(said.get("act"), "/act", tuple(ACTS))
        act, is_referrers = ACTS[name], name in REFERRERS
        members(said, ("act", *act.members), "", optional=() if is_referrers else ("note",))
        seen = await self._standing(subject.member, referral_id)
        if is_referrers is not (subject.member == seen.owner):
            raise Refused((Reason("OTHER_SIDE_ONLY"),))
        if name in _UNDER_AGREEMENT:
            await require_in_force(self._agreements, seen)
        note, keys = await self._sealed(seen, said), await self._keyring.unlock(seen.owner)

        async def work(change: Change) -> Any:
            found = await of_party(change.tx, referral_id, subject.member, change.now_ms)
            found.require_free()
            done = await act.do(Doing(change, filing, found, said, keys))
            if note:
                row = {"id": random_id(), "referral_id": done.id, "sealed": note, "at": change.now_ms}
                await change.tx.run(_NOTE, **row)
            if name == Event.SUBMIT.value:
                return {"id": done.id, "state": told_state(done)}
            return {"id": done.id}  # what is kept for an equal request; never the words of the preview

        contesting = await rivals_in_conflict(self._database, seen, self._clock())
        logs = {seen.owner, seen.recipient, *(one.owner for one in contesting)}
        kept = await filing.once(self._database, self._ledger, work, *sorted(logs))
        if name == Event.SUBMIT.value:
            return kept
        return canonical(told_to(subject.member, await self._standing(subject.member, referral_id), keys))

    async def _standing(self, member: str, referral_id: str) -> Referral:
        return await of_party(self._database, referral_id, member, self._clock())

    async def _sealed(self, seen: Referral, said: Mapping[str, Any]) -> str:
        if "note" not in said:
            return ""
        keys = await self._keyring.unlock(seen.recipient)
        return canonical(keys.seal_detail(sentence(said["note"], "/note").encode(), bound(seen))).decode()


def bound(of: Referral) -> bytes:
    """What a note is sealed together with."""
    return canonical({"use": "referral_note", "referral": of.id})
