"""The customer is told by SMS or e-mail: that a company has the data now, and when the referral is closed.

The words name the two companies and what happened, no offer and no link; in both languages, because nobody asked which.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, select

from gateway.consents.contacts import Channel, Contacts, Holder, Role
from gateway.database import Database, Query
from gateway.errors import Conflicting
from gateway.members.tables import member
from gateway.referrals.telling import Told
from gateway.senders import Outgoing, Senders

_NAME = Query(select(member.c.name).where(member.c.id == bindparam("id")))
_WORDS: Final = {
    "disclosed": (
        "{recipient} now has your contact data: {owner} passed it on as you agreed. You may withdraw at any time.",
        "{recipient}已获得您的联系信息,由{owner}依您的同意提供。您可随时撤回同意。",
    ),
    "closed": (
        "{recipient} has closed the referral that {owner} made as you agreed. You may withdraw at any time.",
        "{recipient}已结束{owner}依您的同意所作的推荐。您可随时撤回同意。",
    ),
}
_SUBJECT: Final = "Your data / 您的个人信息"


class Letters:
    """Tells whoever the owner has stated a number or an address of; nobody else."""

    def __init__(self, database: Database, contacts: Contacts, senders: Senders) -> None:
        self._database = database
        self._contacts = contacts
        self._senders = senders

    async def tell(self, told: Told) -> None:
        """By the first channel that the person is reached by and the gateway serves; `NotSent` is tried again."""
        holder = Holder(told.owner, told.pseudonym, Role.OWN)
        for channel in Channel:
            address = await self._contacts.open(holder, channel)
            if address is None:
                continue
            try:
                await self._senders.send(Outgoing(channel.value, address.text, _SUBJECT, await self._text(told)))
            except Conflicting:  # this gateway sends nothing by this channel
                continue
            return

    async def _text(self, told: Told) -> str:
        names = {"owner": await self._name(told.owner), "recipient": await self._name(told.recipient)}
        return "\n".join(words.format(**names) for words in reversed(_WORDS[told.what]))

    async def _name(self, member_id: str) -> str:
        row = await self._database.one(_NAME, id=member_id)
        return "" if row is None else str(row["name"])
