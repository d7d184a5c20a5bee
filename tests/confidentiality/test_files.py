"""A file describes itself by its first page: it ends where other fields would follow (clauses 4.1.2, 8.1.1)."""

from __future__ import annotations

import json

from gateway.access.formats import FORMATS
from gateway.access.request import AccessRequest
from tests.access.world import Shared
from tests.confidentiality.test_releases import secret
from tests.confiding import EVIDENCE, confided, done, file, signed


async def test_a_file_ends_where_an_nda_does_and_goes_on_with_what_is_left(shared: Shared) -> None:
    hotel, files, wish = shared.hotel, shared.gateway.sharing.files, await _of_secrets(shared)
    begun = await files.begin(wish, FORMATS["csv"])
    pieces = begun.pieces()
    whole = [await anext(pieces), await anext(pieces)]
    done(await file(hotel, f"/v1/ndas/{await _nda(shared)}", method="DELETE"))
    whole += [piece async for piece in pieces]
    manifest = await begun.manifest()
    assert (len(whole), manifest["records"], manifest["complete"]) == (2, 1, False)
    assert (manifest["fields"], manifest["stopped"]["code"]) == (["code", "margin"], "fields_changed")
    rest = await files.begin(wish._replace(cursor=manifest["next"], limit=1), FORMATS["csv"])
    lines = b"".join([piece async for piece in rest.pieces()]).decode().splitlines()
    assert [line.count(",") for line in lines] == [1, 1, 1], "the id and the code of the two that were left"
    assert (await rest.manifest())["omitted"]["fields"] == ["margin"]


async def test_a_file_ends_where_its_pages_would_be_marked_otherwise_than_it_says(shared: Shared) -> None:
    hotel, files, wish = shared.hotel, shared.gateway.sharing.files, await _of_secrets(shared)
    path = f"/v1/agreements/{wish.agreement}"
    begun = await files.begin(wish, FORMATS["csv"])
    pieces = begun.pieces()
    whole = [await anext(pieces), await anext(pieces)]
    stated = {"fields": ["margin"], "ground": "public", "evidence_sha256": EVIDENCE}
    filed = done(await file(hotel, f"{path}/datasets/{wish.dataset}/releases", stated))
    jws = signed(shared.bank, "release+jws", json.loads(filed["statement"]))
    done(await file(shared.bank, f"{path}/releases/{filed['id']}/confirmation", {"jws": jws}))
    whole += [piece async for piece in pieces]
    manifest = await begun.manifest()
    assert (len(whole), manifest["fields"], manifest["complete"]) == (2, ["code", "margin"], False)
    assert (manifest["obligations"]["mark"], manifest["stopped"]["code"]) == ("confidential", "obligations_changed")
    rest = await files.begin(wish._replace(cursor=manifest["next"]), FORMATS["csv"])
    assert len([piece async for piece in rest.pieces()]) == 3, "the names of the columns, and the two that were left"
    said = await rest.manifest()
    assert (said["obligations"]["mark"], said["complete"]) == ("none", True)


async def _of_secrets(shared: Shared) -> AccessRequest:
    """A file of a business secret, a record a page, for a person of the hotel's who may know it."""
    hotel, deal = shared.hotel, await secret(shared, term={"methods": ["api", "file"]})
    person = await confided(hotel, deal.agreement, deal.dataset, shared.bank.id)
    token = await hotel.token(hotel.under(deal.agreement, deal.dataset) | {"person": person})
    return AccessRequest(
        subject=await shared.subject(hotel, token),
        agreement=deal.agreement,
        dataset=deal.dataset,
        purpose="market_analysis",
        method="file",
        limit=1,
    )


async def _nda(shared: Shared) -> str:
    filed = [entry for entry in await shared.entries(shared.bank.id) if entry.get("act") == "nda_filed"]
    return str(filed[-1]["nda"])
