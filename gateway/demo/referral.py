"""How a customer is referred, asked, and let go: clauses 4.3.1 and 4.3.2 from the first link to the last receipt."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gateway.demo.customer import Customer
from gateway.demo.inbox import Inbox
from gateway.demo.later import copied, two_days_later
from gateway.demo.notice import referral_notice
from gateway.demo.partner import Partner
from gateway.demo.story import CONSENTING
from gateway.demo.telling import Teller, World, check, expect
from gateway.settings import Settings

_OK, _CREATED, _BAD_REQUEST, _FORBIDDEN, _NOT_FOUND = 200, 201, 400, 403, 404
_PURPOSE = "customer_referral"
_NECESSARY, _OPTIONAL = ("name", "phone"), ("city", "tier")
_TICKED = "city"
_PREVIEW = {"need": "family room / 家庭房", "budget": "500-800 CNY"}
_PROOF = "Deleted from the booking system and from its copies. / 已从预订系统及其副本中删除。"
_PATIENCE_S, _PAUSE_S = 30, 0.25


class ReferralStory:
    """Two chapters. `verify` holds a receipt against a key set, as the command line does; it gets both as files."""

    def __init__(
        self, world: World, teller: Teller, settings: Settings, inbox: Inbox, verify: Callable[[Path, Path], None]
    ) -> None:
        self._world = world
        self._teller = teller
        self._settings = settings
        self._inbox = inbox
        self._verify = verify
        self._bank, self._hotel = world.partners["bank"], world.partners["hotel"]
        self._agreement, self._dataset = world.agreements["customers"], world.datasets["bank-customers"]
        self._person = self._somebody()
        self._customer = Customer(self._person["phone"], settings.messages_dir or Path())

    def tell(self) -> None:
        """Of one customer whom nobody has asked yet, and of one more at the end."""
        self._teller.chapter("6", "A customer is asked, and referred", "征得客户同意,然后推荐")
        referral = self._refer()
        consent = self._ask()
        self._disclose(referral)
        self._teller.chapter("7", "A withdrawal is followed until everybody complied", "撤回同意,跟进到落实")
        self._withdraw(referral, consent)
        self._comply(consent)
        self._wait_in_vain()

    def _somebody(self) -> Mapping[str, str]:
        """The first customer behind those who consented whose row has no gap."""
        asked = set(self._world.customers["bank"].numbers[:CONSENTING])
        rows = self._world.customers["bank"].rows()
        return next(row for row in rows if row["customer_no"] not in asked and all(row.values()))

    def _refer(self) -> str:
        """The bank refers before it has asked: nobody but the bank learns of it."""
        said = {"agreement": self._agreement, "dataset": self._dataset, "subject": self._person["customer_no"]}
        preview = {"city": self._person["city"], **_PREVIEW}
        drafted = self._post(self._bank, "/v1/referrals", said | {"preview": preview}, _CREATED)
        referral = str(drafted["id"])
        waiting = self._post(self._bank, f"/v1/referrals/{referral}/acts", {"act": "submit"})
        check("it waits for the consent", waiting["state"] == "consent_pending", waiting)
        self._teller.say("✍", f"the bank refers customer {said['subject']} to the hotel: [bold]consent_pending[/]")
        expect("the hotel asks for it", self._ask_who(referral), _NOT_FOUND)
        check("no such customer is found", self._search() == [])
        self._teller.say("✘ 404", "without consent the hotel finds no referral, and nobody by the telephone number")
        return referral

    def _ask(self) -> str:
        """The bank asks under a notice that is complete; the customer decides on the page. Returns the consent's id."""
        asked = {
            "subject": self._person["customer_no"],
            "notice_sha256": self._notice(),
            "language": "zh-CN",
            "channel": "sms",
            "address": self._person["phone"],
            "items": [
                {
                    "recipient": self._hotel.member,
                    "purpose": _PURPOSE,
                    "fields": list(_NECESSARY),
                    "optional": list(_OPTIONAL),
                }
            ],
        }
        request = self._post(self._bank, f"/v1/datasets/{self._dataset}/consent-requests", asked, _CREATED)
        [consent] = request["records"]
        customer, link = self._customer, self._customer.link()
        customer.see(link)
        shown = expect("how the request goes", self._get(self._bank, f"/v1/consent-requests/{request['id']}"), _OK)
        check("to look at a link decides nothing", [one["state"] for one in shown["records"]] == ["requested"], shown)
        customer.press("/my/code")
        customer.press("/my/confirm", code=customer.code())
        self._teller.say("✔", f"the customer opens {customer.path} by a link and a code, without an account")
        customer.press("/my/question", ticked=[f"field:{_TICKED}"], answer="give")
        check("nothing is left to decide", customer.path == "/my/overview", customer.path)
        self._teller.say(
            "✔", f"and consents: {', '.join(_NECESSARY)}, and {_TICKED} which may be left out; not the tier"
        )
        return str(consent)

    def _notice(self) -> str:
        path = f"/v1/datasets/{self._dataset}/notices"
        whole = referral_notice(self._bank, self._hotel, (*_NECESSARY, *_OPTIONAL), kept_for="P6M")
        lacking = {name: said for name, said in whole.items() if name != "withdrawal"}
        for document, status in ((lacking, _BAD_REQUEST), (whole, _OK)):
            drafted = self._post(self._bank, path, {"name": "page", "document": document}, _CREATED)
            published = self._post(self._bank, f"/v1/notices/{drafted['id']}/publication", {}, status)
        self._teller.say("✘ 400", "a notice that does not tell how to withdraw is not published; completed, it is")
        return str(published["sha256"])

    def _disclose(self, referral: str) -> None:
        """The hotel accepts an offer that names nobody, and gets what was consented to."""
        offer = self._until(lambda: self._get(self._hotel, f"/v1/referrals/{referral}"))
        check("the offer shows what many share, here nothing", set(offer["preview"].values()) == {None}, offer)
        self._post(self._hotel, f"/v1/referrals/{referral}/acts", {"act": "accept"})
        self._teller.say(
            "✔", "the hotel is offered somebody, sees nothing that fewer than 5 persons share, and accepts"
        )
        told = expect("the customer is disclosed", self._ask_who(referral), _OK)
        fields = told["record"]["fields"]
        check("exactly the consented fields", fields == {n: self._person[n] for n in (*_NECESSARY, _TICKED)}, fields)
        self._teller.say("✔ 200", f"disclosed by a fresh decision: exactly these; entry {told['event_id'][:13]}…")
        self._teller.show(fields)
        stranger = self._world.partners["retailer"]
        there, nowhere = (
            expect("another member asks", self._get(stranger, f"/v1/referrals/{one}"), _NOT_FOUND)
            for one in (referral, "0" * len(referral))
        )
        check("the same answer", there | {"instance": ""} == nowhere | {"instance": ""}, there)
        self._teller.say("✘ 404", "another member: the same answer as for a referral that never was")

    def _withdraw(self, referral: str, consent: str) -> None:
        """One press, on the page that the customer still has open."""
        put = self._hotel.send("PUT", "/v1/withdrawals/address", self._token(self._hotel), {"uri": self._inbox.uri})
        expect("the hotel names its address", put, _OK)
        self._customer.press("/my/withdraw")
        self._teller.say("✔", "the customer withdraws: one press, as many as it took to consent")
        refused = expect("the hotel asks again", self._ask_who(referral), _FORBIDDEN)
        reasons = [(one["code"], one["clause"]) for one in refused["reasons"]]
        check("for want of consent", reasons == [("CONSENT_REQUIRED", "4.3.1")], reasons)
        check("no such customer is found", self._search() == [])
        entry = refused["event_id"][:13]
        self._teller.say("✘ 403", f"at the very next call: [bold]CONSENT_REQUIRED[/] (clause 4.3.1); entry {entry}…")
        message = self._inbox.told_of(consent)
        check("it was told why", message["type"] == "consent.withdrawn", message)
        due = message["data"]["comply_by"]
        self._teller.say("✔", f"the hotel is told by a signed webhook, and verifies it; it is to comply by {due}")

    def _comply(self, consent: str) -> None:
        """The hotel does what it owes; the customer keeps a receipt of that, which needs no gateway to be verified."""
        self._answer_everything()
        self._customer.see("/my/history")
        receipts = [self._customer.see(link) for link in self._customer.links if link.startswith("/my/receipts/")]
        ended = [one for one in receipts if _said(one)["kind"] == "complied"]
        check("one termination receipt", len(ended) == 1, len(ended))
        receipt, keys = self._world.folder / "termination-receipt.jws", self._world.folder / "jwks.json"
        check("of this consent", _said(ended[0])["header"]["record_id"] == consent, ended[0])
        receipt.write_text(ended[0], "ascii")
        keys.write_text(self._get(self._bank, "/v1/jwks").text, "utf-8")
        self._teller.say("✔", "it acknowledges and deletes, with proof; the customer's page has a termination receipt")
        self._verify(receipt, keys)
        self._teller.say("✔", "which `gateway verify-receipt` holds against the published keys alone, offline")

    def _wait_in_vain(self) -> None:
        """Another customer withdraws while the hotel's server is down; its clock runs ahead in a copy alone."""
        page = expect("the hotel reads", self._get(self._hotel, self._records), _OK)
        record = page["records"][0]
        subject = self._world.customers["bank"].number_of(record["fields"]["phone"])
        self._inbox.is_down = True
        ended = self._post(self._bank, f"/v1/datasets/{self._dataset}/withdrawals", {"subject": subject})
        [consent] = ended["withdrawn"]
        expect("the hotel reads it again", self._get(self._hotel, f"{self._records}/{record['id']}"), _NOT_FOUND)
        followed = "/v1/withdrawals"
        self._until(lambda: self._get(self._bank, followed, role="owner", consent=consent), _has_failed)
        self._teller.say("✘ 503", f"customer {subject} withdraws too, and is gone; the hotel's server is down")
        with TemporaryDirectory(dir=self._world.folder) as folder:
            copy = copied(self._settings, Path(folder) / "data")
            case = asyncio.run(two_days_later(copy, self._world.alliance, self._bank.member, consent))
        self._teller.say(
            "✘ late", f"two business days later, in a copy: [bold]overdue[/], one breach candidate; {case[:13]}…"
        )
        self._inbox.is_down = False
        self._answer_everything()
        self._teller.say("✔", "back today, the hotel finds it among what it owes, and complies")

    def _answer_everything(self) -> None:
        """Whatever the hotel was told of, or should have been, is listed for it too."""
        for one in expect("what the hotel owes", self._get(self._hotel, "/v1/withdrawals"), _OK)["items"]:
            path = f"/v1/withdrawals/{one['id']}"
            self._post(self._hotel, f"{path}/acknowledgement", {})
            proof = {"how": "deleted", "proof": {"text": _PROOF}}
            done = self._post(self._hotel, f"{path}/compliance", proof)
            check("it has complied", done["state"] == "complied", done)
        left = expect("what the hotel owes", self._get(self._hotel, "/v1/withdrawals"), _OK)["items"]
        check("the hotel owes nothing more", left == [], left)

    @property
    def _records(self) -> str:
        return f"/v1/agreements/{self._agreement}/datasets/{self._dataset}/records"

    def _ask_who(self, referral: str) -> Any:
        """The hotel's wish to know whom it was offered."""
        return self._hotel.post(f"/v1/referrals/{referral}/disclosure", self._token(self._hotel), {})

    def _search(self) -> list[Any]:
        """What the hotel finds by the customer's telephone number."""
        wanted = {"filters": {"phone": self._person["phone"]}}
        records = self._post(self._hotel, f"{self._records}/query", wanted)["records"]
        return list(records)

    def _token(self, partner: Partner) -> Any:
        """For all that a partner does here; the hotel's is for its person on the roster."""
        details = partner.for_itself()
        if partner is self._hotel:
            details += partner.under(self._agreement, [self._dataset], [_PURPOSE], self._world.persons["customers"])
        return partner.token(details)

    def _get(self, partner: Partner, path: str, **params: str) -> Any:
        return partner.get(path, self._token(partner), **params)

    def _post(self, partner: Partner, path: str, document: Any, status: int = _OK) -> Any:
        return expect(path, partner.post(path, self._token(partner), document), status)

    def _until(self, ask: Callable[[], Any], enough: Callable[[Any], bool] = bool) -> Any:
        """What an answer says once it is there and says enough: servers offer and tell by themselves, soon."""
        deadline = time.monotonic() + _PATIENCE_S
        while not ((answer := ask()).ok and enough(answer.json())):
            check("it happens in time", time.monotonic() < deadline, answer.text)
            time.sleep(_PAUSE_S)
        return answer.json()


def _has_failed(page: Mapping[str, Any]) -> bool:
    return [one["state"] for one in page["items"]] == ["failed"]


def _said(receipt: str) -> dict[str, Any]:
    """What a compact JWS says."""
    payload = receipt.split(".")[1]
    said: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return said
