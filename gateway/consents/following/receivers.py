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
    select(consent.c.id, consent.c.recipient_id, consent.c.purpose)
    .where(
        consent.c.dataset_no == bindparam("dataset_no", type_=BigInteger),
        consent.c.pseudonym == bindparam("pseudonym"),
        consent.c.disclosed_at.is_not(None),
    )
    .order_by(consent.c.disclosed_at.desc(), consent.c.id)
)
_BETWEEN = Query(
    select(agreement.c.id, agreement.c.terms)
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


class Receiver(NamedTuple):
    """One that received: by which consent, for what, under which agreement, and whom the owner let it pass it on to."""

    recipient: str
    consent: str
    purpose: str
    agreement: str | None
    onward: tuple[str, ...]


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
    for found in await reading.all(_BETWEEN, owner=owner, recipient=recipient):
        if _covers(bytes(found["terms"]), name, purpose):
            grants = await reading.all(_GRANTS, agreement=found["id"])
            named = (one["recipient_id"] for one in grants if purpose in onward(grant_statement(one["jws"])).purposes)
            others = tuple(dict.fromkeys(one for one in named if one != recipient))
            return Receiver(recipient, row["id"], purpose, found["id"], others)
    return Receiver(recipient, row["id"], purpose, None, ())


def _covers(terms: bytes, dataset: str, purpose: str) -> bool:
    """Whether the text of an agreement names the dataset for the purpose. It is named to its parties, and no proof."""
    return any(one["dataset"] == dataset and purpose in one["purposes"] for one in orjson.loads(terms)["datasets"])
