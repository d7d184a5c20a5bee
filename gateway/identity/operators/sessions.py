"""Who is signed in where: sessions kept on this side, ended on this side (ASVS 5.0, chapter 7).

A session ends after 15 minutes without a request and after 8 hours in any case, when its operator signs out or is
disabled, and when the company's provider says so. The cookie holds 256 random bits; here stands their SHA-256.
"""

from __future__ import annotations

import hmac
import json
import secrets
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Text, and_, bindparam, delete, insert, or_, select, update

from gateway.clock import Clock
from gateway.database import Database, Query, Reading, Row
from gateway.identity.operators.ceremonies import hashed
from gateway.identity.operators.entries import entry
from gateway.identity.operators.operator import Operator, SignedIn
from gateway.identity.operators.roles import Role
from gateway.identity.operators.tables import operator, operator_session
from gateway.ledger import Ledger
from gateway.ledger.change import Change

IDLE_MS: Final = 15 * 60 * 1000
LONGEST_MS: Final = 8 * 60 * 60 * 1000
_TOUCH_MS: Final = 30 * 1000

_session = operator_session.c
_START = Query(insert(operator_session))
_FIND = Query(
    select(
        operator_session,
        operator.c.alliance_id,
        operator.c.name,
        operator.c.role,
    )
    .join(operator, operator.c.id == _session.operator_id)
    .where(_session.id_sha256 == bindparam("session"), operator.c.state == "active")
)
_LIST = Query(select(operator_session).where(_session.operator_id == bindparam("of")).order_by(_session.started_at))
_TOUCH = Query(
    update(operator_session).values(seen_at=bindparam("now")).where(_session.id_sha256 == bindparam("session"))
)
_END = Query(
    delete(operator_session).where(_session.id_sha256 == bindparam("session"), _session.operator_id == bindparam("of"))
)
_REPLACE = Query(delete(operator_session).where(_session.id_sha256 == bindparam("session")))
_END_OTHERS = Query(
    delete(operator_session).where(
        _session.operator_id == bindparam("of"),
        _session.credential == bindparam("credential"),
        _session.id_sha256 != bindparam("session"),
    )
)
_END_ALL = Query(delete(operator_session).where(_session.operator_id == bindparam("of")))
_OF_PROVIDER = Query(
    select(_session.id_sha256, operator.c.id, operator.c.alliance_id)
    .join(operator, operator.c.id == _session.operator_id)
    .where(
        _session.method == "oidc",
        _session.started_at <= bindparam("until"),
        or_(_session.credential == bindparam("subject"), bindparam("subject", type_=Text) == ""),
        or_(
            _session.provider_session == bindparam("provider_session"),
            bindparam("provider_session", type_=Text) == "",
            and_(_session.provider_session == "", bindparam("subject", type_=Text) != ""),
        ),
    )
)
_FORGET = Query(
    delete(operator_session).where(
        (_session.seen_at <= bindparam("idle_since")) | (_session.started_at <= bindparam("begun_before"))
    )
)


class Sessions:
    """Starts, finds and ends sessions."""

    def __init__(self, database: Database, ledger: Ledger, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock

    async def start(
        self,
        change: Change,
        who: Operator,
        *,
        method: str,
        credential: str,
        amr: tuple[str, ...],
        auth_time: int,
        provider_session: str = "",
        former: str = "",
    ) -> str:
        """A new session in the transaction that records the sign-in; returns the value of its cookie.

        It takes the place of the `former` one of the browser, named by its hash (ASVS 5.0, 7.2.4).
        """
        secret, now = secrets.token_urlsafe(32), self._clock()
        await change.tx.run(_REPLACE, session=former)
        await change.tx.run(_FORGET, idle_since=now - IDLE_MS, begun_before=now - LONGEST_MS)
        await change.tx.run(
            _START,
            id_sha256=hashed(secret),
            operator_id=who.id,
            method=method,
            credential=credential,
            provider_session=provider_session,
            amr=json.dumps(list(amr)),
            auth_time=auth_time,
            started_at=now,
            seen_at=now,
        )
        return secret

    async def find(self, cookie: str) -> SignedIn | None:
        """Who is signed in with this cookie, and still may be; the operator as the database has it now."""
        session, now = hashed(cookie), self._clock()
        row = await self._live(self._database, session)
        if row is None:
            return None
        if now - row["seen_at"] >= _TOUCH_MS:
            async with self._database.transaction() as tx:
                await tx.run(_TOUCH, session=session, now=now)
        return _signed_in(row, _form_token(cookie))

    async def still(self, reading: Reading, session: str) -> Operator | None:
        """The operator of a session by its hash, while it lives."""
        row = await self._live(reading, session)
        return None if row is None else _operator(row)

    async def of(self, who: Operator) -> list[dict[str, Any]]:
        """The operator's live sessions, oldest first."""
        now = self._clock()
        return [
            {name: row[name] for name in ("id_sha256", "method", "started_at", "seen_at")}
            for row in await self._database.all(_LIST, of=who.id)
            if now - row["seen_at"] < IDLE_MS and now - row["started_at"] < LONGEST_MS
        ]

    async def end(self, signed_in: SignedIn) -> None:
        """Sign out here."""
        who = signed_in.operator
        async with self._ledger.changing(who.alliance) as change:
            if await change.tx.run(_END, session=signed_in.session, of=who.id):
                change.enter(entry(who.alliance, "operator_signed_out", who.id))

    async def end_everywhere(self, who: Operator, *, by: str) -> None:
        """End every session of an operator."""
        async with self._ledger.changing(who.alliance) as change:
            await self.end_all(change, who.id, who.alliance, by=by)

    async def end_others(self, change: Change, signed_in: SignedIn, credential: str) -> None:
        """End what a passkey began, but for the session that revokes it."""
        who = signed_in.operator
        count = await change.tx.run(_END_OTHERS, of=who.id, credential=credential, session=signed_in.session)
        if count:
            change.enter(entry(who.alliance, "operator_sessions_ended", who.id, subject=who.id, sessions=count))

    async def end_all(self, change: Change, operator_id: str, alliance: str, *, by: str) -> None:
        """As above, in a transaction under way: with what made it necessary."""
        ended = await change.tx.run(_END_ALL, of=operator_id)
        if ended:
            facts = {"subject": operator_id, "sessions": ended}
            change.enter(entry(alliance, "operator_sessions_ended", by, **facts))

    async def end_at_provider(self, subject: str, provider_session: str, *, until_ms: int) -> None:
        """End what a subject, or one session of it at the provider, began here up to an instant; '' stands for any.

        A session whose provider never named its own is the subject's, whichever is named now. What began later is left
        alone, so a logout that is told twice harms nobody.
        """
        rows = await self._database.all(
            _OF_PROVIDER, subject=subject, provider_session=provider_session, until=until_ms
        )
        for row in rows:
            async with self._ledger.changing(row["alliance_id"]) as change:
                if await change.tx.run(_END, session=row["id_sha256"], of=row["id"]):
                    change.enter(entry(row["alliance_id"], "operator_signed_out", row["id"], by_provider=True))

    async def _live(self, reading: Reading, session: str) -> Row | None:
        now = self._clock()
        row = await reading.one(_FIND, session=session)
        if row is None or now - row["seen_at"] >= IDLE_MS or now - row["started_at"] >= LONGEST_MS:
            return None
        return row


def _form_token(cookie: str) -> str:
    """What every form of a session carries: nobody without the cookie can make it, and it does not tell the cookie."""
    return hmac.new(cookie.encode("utf-8", "surrogatepass"), b"form", sha256).hexdigest()


def _operator(row: Row) -> Operator:
    return Operator(row["operator_id"], row["alliance_id"], row["name"], Role(row["role"]))


def _signed_in(row: Row, form_token: str) -> SignedIn:
    return SignedIn(
        _operator(row),
        row["id_sha256"],
        form_token,
        row["method"],
        row["credential"],
        tuple(json.loads(row["amr"])),
        row["auth_time"],
        row["started_at"],
    )
