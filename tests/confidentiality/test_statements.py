"""NDAs and grants by whoever should not make them, over texts that say something else, and filed again."""

from __future__ import annotations

from typing import Any

from gateway.canonical import canonical
from gateway.identity.base64url import decode
from gateway.identity.jws import sign_compact, thumbprint
from tests.access.world import Shared
from tests.alliance import Member, b64, new_key, public
from tests.confiding import (
    CLASSES,
    at,
    done,
    file,
    grant_text,
    lasting,
    person_of,
    person_text,
    record_nda,
    signed,
    undertake,
    undertaking,
)


async def confirmed(shared: Shared) -> tuple[Member, Member]:
    """The bank, which has confirmed the hotel's key, and the hotel."""
    await shared.bank.confirm(shared.hotel)
    return shared.bank, shared.hotel


async def told(member: Member, jws: str, path: str = "/v1/ndas") -> tuple[int, str, str]:
    """Status, code and field of the answer to a statement."""
    answer = await file(member, path, {"jws": jws})
    document = answer.json()
    return answer.status_code, document.get("code", ""), document.get("field", "")


OTHER_NDAS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "person_nda"}, "statement_of_another_kind"),
    ({"v": 2}, "statement_of_another_kind"),
    ({"v": True}, "statement_of_another_kind"),
    ({"alliance": "another"}, "statement_of_another"),
    ({"member": "0" * 32}, "statement_of_another"),
    ({"towards": "0" * 32}, "party_unknown"),
    ({"classes": []}, "terms_empty"),
    ({"classes": ["public"]}, "terms_word_unknown"),
    ({"classes": ["customer", "customer"]}, "terms_repeated"),
    ({"from": "2026-01-31T08:00:00+08:00"}, "terms_not_utc"),
    ({"until": "2026-02-30T00:00:00Z"}, "terms_no_such_time"),
    ({"until": "2020-01-01T00:00:00Z"}, "interval_empty"),
    ({"from": "2019-01-01T00:00:00Z", "until": "2020-01-01T00:00:00Z"}, "interval_over"),
    ({"from": "2200-01-01T00:00:00Z", "until": "2201-01-01T00:00:00Z"}, "interval_not_begun"),
    ({"nonce": "short"}, "terms_name_malformed"),
    ({"nonce": 1}, "terms_wrong_type"),
    ({"more": 1}, "terms_member_unknown"),
]
OTHER_GRANTS: list[tuple[dict[str, Any], str]] = [
    ({"purposes": ["spying"]}, "purpose_not_agreed"),
    ({"purposes": ["market_analysis", "market_analysis"]}, "terms_repeated"),
    ({"purposes": []}, "terms_empty"),
    ({"purposes": ["Market"]}, "terms_purpose_malformed"),
    ({"recipient": "0" * 32}, "third_party_unknown"),
    ({"agreement": "0" * 32}, "statement_of_another"),
    ({"from": "2019-01-01T00:00:00Z", "until": "2020-01-01T00:00:00Z"}, "interval_over"),
    ({"until": "2030-01-01T00:00:00.5Z"}, "terms_not_utc"),
]


async def test_an_nda_over_another_text_is_refused_by_name(shared: Shared) -> None:
    bank, hotel = await confirmed(shared)
    before = await shared.entries(bank.id)
    for over, refusal in OTHER_NDAS:
        status, code, field = await told(hotel, signed(hotel, "nda+jws", undertaking(hotel, bank.id) | over))
        assert (status, code) == (409 if refusal == "interval_not_begun" else 400, refusal), over
        assert field
    assert await shared.entries(bank.id) == before


async def test_an_nda_is_signed_by_an_active_confirmed_key_of_the_member_that_is_no_clients(shared: Shared) -> None:
    bank, hotel = shared.bank, shared.hotel
    text = undertaking(hotel, bank.id)
    assert (await told(hotel, signed(hotel, "nda+jws", text)))[1] == "signing_key_unconfirmed"
    await bank.confirm(hotel)
    assert (await told(hotel, signed(hotel, "nda+jws", text, new_key())))[1] == "signing_key_unknown"
    assert (await told(hotel, signed(hotel, "nda+jws", text, bank.signing_key)))[1] == "signing_key_unknown"
    assert (await told(hotel, signed(hotel, "nda+jws", text, hotel.client_key)))[1] == "signing_key_unknown"
    for typ in ("agreement+jws", "onward-grant+jws", "JWT"):
        assert (await told(hotel, signed(hotel, typ, text)))[1] == "jws_type"
    other = signed(hotel, "nda+jws", undertaking(hotel, bank.id))
    mixed = ".".join([*signed(hotel, "nda+jws", text).split(".")[:2], other.split(".")[2]])
    assert (await told(hotel, mixed))[1] == "jws_signature"
    loose = canonical(text).replace(b'"v":1', b'"v": 1')
    header = {"kid": thumbprint(public(hotel.signing_key))}
    assert (await told(hotel, sign_compact(loose, hotel.signing_key, typ="nda+jws", header=header)))[1] == (
        "not_canonical"
    )
    await shared.gateway.signing_keys.revoke(header["kid"], operator="test")
    assert (await told(hotel, signed(hotel, "nda+jws", text)))[1] == "signing_key_revoked"


async def test_nobody_undertakes_for_another_or_towards_itself(shared: Shared) -> None:
    bank, hotel = await confirmed(shared)
    jws = signed(hotel, "nda+jws", undertaking(hotel, bank.id))
    assert (await told(bank, jws))[1:] == ("statement_of_another", "/member")
    own = signed(hotel, "nda+jws", undertaking(hotel, hotel.id))
    assert (await told(hotel, own))[1:] == ("nda_to_oneself", "/towards")


async def test_the_same_nda_again_changes_nothing_and_one_that_ended_does_not_come_back(shared: Shared) -> None:
    bank, hotel = await confirmed(shared)
    text = undertaking(hotel, bank.id)
    first = done(await file(hotel, "/v1/ndas", {"jws": signed(hotel, "nda+jws", text)}))
    again = done(await file(hotel, "/v1/ndas", {"jws": signed(hotel, "nda+jws", text)}))
    assert again == first
    ended = done(await file(bank, f"/v1/ndas/{first['id']}", method="DELETE"))
    assert ended["ended_at"]
    assert done(await file(hotel, f"/v1/ndas/{first['id']}", method="DELETE")) == ended
    assert (await told(hotel, signed(hotel, "nda+jws", text)))[:2] == (409, "statement_spent")
    assert (await file(shared.stranger, f"/v1/ndas/{first['id']}", method="DELETE")).status_code == 404


async def test_an_nda_follows_another_without_a_gap_and_covers_no_less(shared: Shared) -> None:
    bank, hotel = await confirmed(shared)
    first = done(await undertake(hotel, bank.id, **lasting(hotel, ends=1000)))
    gap = await undertake(hotel, bank.id, **lasting(hotel, begins=1001, ends=2000))
    assert (gap.status_code, gap.json()["code"]) == (409, "interval_gap")
    shorter = await undertake(hotel, bank.id, **lasting(hotel, ends=999))
    assert (shorter.status_code, shorter.json()["code"]) == (409, "interval_overlaps")
    less = await undertake(hotel, bank.id, classes=list(CLASSES[:2]))
    assert (less.status_code, less.json()["code"]) == (409, "nda_covers_less")
    second = done(await undertake(hotel, bank.id, **lasting(hotel, begins=1000, ends=2000)))
    assert (second["covers_from"], second["until"]) == (first["covers_from"], at(hotel.now + 2000))
    shared.clock.pass_seconds(2000)
    later = done(await undertake(hotel, bank.id, classes=["customer"], **lasting(hotel, begins=-5, ends=5)))
    assert later["covers_from"] == at(hotel.now - 5)


async def test_a_class_is_covered_no_earlier_than_an_undertaking_to_cover_it_begins(shared: Shared) -> None:
    bank, hotel = await confirmed(shared)
    done(await undertake(hotel, bank.id, classes=["customer"], **lasting(hotel, ends=1000)))
    more = {"classes": ["customer", "financial"]}
    early = await undertake(hotel, bank.id, **more, **lasting(hotel, begins=1, ends=2000))
    assert (early.status_code, early.json()["code"], early.json()["field"]) == (409, "nda_covers_more_later", "/from")
    done(await undertake(hotel, bank.id, classes=["customer"], **lasting(hotel, begins=1000, ends=2000)))
    done(await undertake(hotel, bank.id, **more, **lasting(hotel, begins=0, ends=2000)))


async def test_a_persons_nda_is_for_ones_own_persons_who_have_not_left(shared: Shared) -> None:
    own, other = await person_of(shared.hotel), await person_of(shared.bank)
    assert (await record_nda(shared.hotel, other)).status_code == 404
    text = person_text(shared.hotel, own)
    path = f"/v1/persons/{await person_of(shared.hotel)}/nda"
    assert (await told(shared.hotel, signed(shared.hotel, "nda+jws", text), path))[1:] == (
        *("statement_of_another", "/person"),
    )
    short = await record_nda(shared.hotel, own, evidence_sha256="0" * 63)
    assert short.json()["field"] == "/evidence_sha256"
    done(await record_nda(shared.hotel, own))
    done(await file(shared.hotel, f"/v1/persons/{own}", method="DELETE"))
    assert (await record_nda(shared.hotel, own)).json()["code"] == "person_left"


async def test_names_of_persons_are_told_to_their_member_alone_and_sealed(shared: Shared) -> None:
    mine = await person_of(shared.hotel, "欧阳娜娜")
    theirs = await person_of(shared.bank, "司马光")
    told_to_hotel = done(await file(shared.hotel, "/v1/persons", method="GET"))["items"]
    assert [(one["id"], one["name"]) for one in told_to_hotel] == [(mine, "欧阳娜娜")]
    assert (await file(shared.hotel, f"/v1/persons/{theirs}", method="DELETE")).status_code == 404
    data = b"".join(path.read_bytes() for path in shared.gateway.settings.data_dir.glob("*.db*"))
    assert "欧阳娜娜".encode() not in data


async def test_a_grant_beyond_the_terms_is_refused_by_name(shared: Shared) -> None:
    deal = await shared.market(onward="written_consent", third_parties=[shared.stranger.id])
    for over, refusal in OTHER_GRANTS:
        text = grant_text(shared.bank, deal.agreement, shared.stranger.id, "market_analysis") | over
        jws = signed(shared.bank, "onward-grant+jws", text)
        found = await told(shared.bank, jws, f"/v1/agreements/{deal.agreement}/onward-grants")
        assert found[:2] == (400, refusal), over


async def test_a_grant_is_the_owners_alone_by_its_own_key_and_only_where_the_terms_allow_one(shared: Shared) -> None:
    deal = await shared.market(onward="written_consent", third_parties=[shared.stranger.id])
    path = f"/v1/agreements/{deal.agreement}/onward-grants"
    text = grant_text(shared.bank, deal.agreement, shared.stranger.id, "market_analysis")
    by_hotel = signed(shared.bank, "onward-grant+jws", text, shared.hotel.signing_key)
    assert (await told(shared.bank, by_hotel, path))[1] == "signing_key_unknown"
    genuine = signed(shared.bank, "onward-grant+jws", text)
    for member in (shared.hotel, shared.stranger):
        assert (await told(member, genuine, path))[:2] == (403, "OWNER_ONLY")
    assert (await told(await shared.alliance.join("nobody"), genuine, path))[0] == 404
    forbidden = await shared.market()
    text = grant_text(shared.bank, forbidden.agreement, shared.stranger.id, "market_analysis")
    path = f"/v1/agreements/{forbidden.agreement}/onward-grants"
    assert (await told(shared.bank, signed(shared.bank, "onward-grant+jws", text), path))[:2] == (
        *(409, "onward_forbidden"),
    )


async def test_an_altered_signature_over_a_revoked_grant_is_no_other_grant(shared: Shared) -> None:
    deal = await shared.market(onward="written_consent", third_parties=[shared.stranger.id])
    path = f"/v1/agreements/{deal.agreement}/onward-grants"
    text = grant_text(shared.bank, deal.agreement, shared.stranger.id, "market_analysis")
    jws = signed(shared.bank, "onward-grant+jws", text)
    given = done(await file(shared.bank, path, {"jws": jws}))
    done(await file(shared.bank, f"{path}/{given['id']}", method="DELETE"))
    assert (await told(shared.bank, _malleated(jws), path))[:2] == (409, "statement_spent")


def _malleated(jws: str) -> str:
    """The other signature that holds for the same key and text: (r, n - s)."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    head, payload, signature = jws.split(".")
    raw = decode(signature)
    s = order - int.from_bytes(raw[32:])
    return f"{head}.{payload}.{b64(raw[:32] + s.to_bytes(32))}"
