"""Who ever received a person's data: by what was disclosed, not by what is granted now."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import orjson
from sqlalchemy import BigInteger, bindparam, exists, or_, select

from gateway.agreements.tables import agreement, agreement_third_party
from gateway.catalog.tables import dataset
from gateway.confidentiality.onward import grant_statement, onward
from gateway.confidentiality.tables import onward_grant
from gateway.consents.followers import Ended
from gateway.consents.tables import consent
from gateway.database import Query, Reading, Row

_DISCLOSED = Query(
    select(consent.c.id, consent.c.recipient_id, consent.c.purpose, consent.c.disclosed_at)
    .where(
        consent.c.dataset_no == bindparam("dataset_no", type_=BigInteger),
        consent.c.pseudonym == bindparam("pseudonym"),
        consent.c.disclosed_at.is_not(None),
    )
    .order_by(consent.c.disclosed_at.desc(), consent.c.id)
)
_BETWEEN = Query(
    select(agreement.c.id, agreement.c.terms, agreement.c.signed_at, agreement.c.ended_at)
    .where(
        agreement.c.owner_id == bindparam("owner"),
        agreement.c.signed_at.is_not(None),
        or_(
            agreement.c.recipient_id == bindparam("recipient"),
            exists().where(
                agreement_third_party.c.agreement_id == agreement.c.id,
                agreement_third_party.c.member_id == bindparam("recipient"),
            ),
        ),
    )
    .order_by(agreement.c.signed_at.desc(), agreement.c.id)
)
_GRANTS = Query(
    select(onward_grant.c.recipient_id, onward_grant.c.jws)
    .where(onward_grant.c.agreement_id == bindparam("agreement"))
    .order_by(onward_grant.c.id)
)
_DATASET_ID = Query(select(dataset.c.id).where(dataset.c.no == bindparam("no", type_=BigInteger)))


class ThirdParty(NamedTuple):
    """One that a recipient may have passed it on to, and the agreement whose grant lets it."""

    recipient: str
    agreement: str


class Receiver(NamedTuple):
    """One that received: by which consent, for what, under which agreement, and whom the owner let it pass it on to.

    The agreement is the newest that stood when it first received. The third parties are those of every agreement
    that ever let it use the data for that purpose, whatever became of it: each once.
    """

    recipient: str
    consent: str
    purpose: str
    agreement: str | None
    onward: tuple[ThirdParty, ...]


async def dataset_id(reading: Reading, dataset_no: int) -> str:
    """The id of a dataset by its number."""
    row = await reading.one(_DATASET_ID, no=dataset_no)
    assert row is not None
    return str(row["id"])


async def under_consent(reading: Reading, ended: Ended) -> Receiver | None:
    """The recipient of one consent, if anything was ever disclosed to it for that purpose, by this or a former one."""
    for row in await reading.all(_DISCLOSED, dataset_no=ended.dataset_no, pseudonym=ended.pseudonym):
        if (row["recipient_id"], row["purpose"]) == (ended.recipient, ended.purpose):
            found = await _receiver(reading, ended.owner, ended.dataset_no, row)
            return found._replace(consent=ended.record_id)
    return None


async def of_person(
    reading: Reading, owner: str, dataset_no: int, pseudonym: str, among: Collection[str] | None = None
) -> list[Receiver]:
    """Every recipient that ever received anything of a person, once; of `among` alone, where that is given."""
    newest: dict[str, Row] = {}
    for row in await reading.all(_DISCLOSED, dataset_no=dataset_no, pseudonym=pseudonym):
        if among is None or row["recipient_id"] in among:
            newest.setdefault(row["recipient_id"], row)
    return [await _receiver(reading, owner, dataset_no, row) for row in newest.values()]


async def _receiver(reading: Reading, owner: str, dataset_no: int, row: Row) -> Receiver:
    recipient, purpose = row["recipient_id"], row["purpose"]
    name = await dataset_id(reading, dataset_no)
    between = await reading.all(_BETWEEN, owner=owner, recipient=recipient)
    covering = [one for one in between if _covers(bytes(one["terms"]), name, purpose)]
    covering.sort(key=lambda one: not _stood(one, row["disclosed_at"]))
    third: dict[str, ThirdParty] = {}
    for one in covering:
        for party in await _granted(reading, one["id"], purpose):
            third.setdefault(party, ThirdParty(party, one["id"]))
    third.pop(recipient, None)
    agreement = covering[0]["id"] if covering else None
    return Receiver(recipient, row["id"], purpose, agreement, tuple(third.values()))


async def _granted(reading: Reading, agreement: str, purpose: str) -> list[str]:
    """Whom the owner ever granted use under an agreement, for a purpose."""
    rows = await reading.all(_GRANTS, agreement=agreement)
    return [row["recipient_id"] for row in rows if purpose in onward(grant_statement(row["jws"])).purposes]


def _stood(agreement: Row, at_ms: int) -> bool:
    """Whether an agreement was signed, and had not ended, at an instant."""
    return bool(agreement["signed_at"] <= at_ms and (agreement["ended_at"] or at_ms) >= at_ms)


def _covers(terms: bytes, dataset: str, purpose: str) -> bool:
    """Whether the text of an agreement names the dataset for the purpose. It is named to its parties, and no proof."""
    return any(one["dataset"] == dataset and purpose in one["purposes"] for one in orjson.loads(terms)["datasets"])
