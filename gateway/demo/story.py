"""The story that the demo tells: what is refused, what is released, and what stands in the ledger afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import Progress

from gateway.demo import secrecy
from gateway.demo.notice import referral_notice
from gateway.demo.partner import Partner
from gateway.demo.people import export_customers
from gateway.demo.tables import flights, reported, schema, table
from gateway.demo.telling import StoryBroken, Teller, World, expect, instant

FLIGHT_FIELDS = (
    "year", "month", "day", "carrier", "flight", "origin", "dest", "sched_dep_time", "dep_delay", "arr_delay",
)  # fmt: skip
CUSTOMER_FIELDS = ("name", "phone", "city", "tier")
CONSENTING = 12_000
_BULK = 5_000
_OK, _FORBIDDEN, _NOT_FOUND, _LOCKED = 200, 403, 404, 423


class Story:
    """Tells it to a terminal, against a running gateway."""

    def __init__(self, world: World, teller: Teller, resolve: Callable[[str], None]) -> None:
        """`resolve` ends a dispute by two operators; it is given the case's id."""
        self._world = world
        self._teller = teller
        self._resolve = resolve
        self._bank, self._airline = world.partners["bank"], world.partners["airline"]
        self._retailer, self._hotel = world.partners["retailer"], world.partners["hotel"]

    def tell(self) -> None:
        """All chapters but the ledger's, which needs the host's commands."""
        self._teller.chapter("1", "Companies declare what they have, and upload it", "各公司登记并上传数据")
        self._upload_tables()
        self._upload_customers()
        self._teller.chapter("2", "No agreement, no data", "没有协议,就没有数据")
        self._agree_on_flights()
        self._teller.chapter("3", "No consent, no person", "没有同意,就没有个人信息")
        self._agree_on_customers()
        self._teller.chapter("4", "Wrong purpose, ended term, other member", "用途不符、期限已过、非协议方")
        self._refuse_the_rest()
        self._teller.chapter("5", "A dispute freezes its subject, and nothing else", "争议只冻结争议事项")
        self._dispute_airports()

    def _upload_tables(self) -> None:
        own = self._airline.token(self._airline.for_itself())
        for name in ("flights", "planes", "airports"):
            self._world.datasets[name] = self._declare(self._airline, own, name, name)
        with self._teller.bar() as bar:
            self._send(bar, self._airline, "flights", flights, "NA")
            for name in ("planes", "airports"):
                path = table(f"{name}.csv")
                self._send(bar, self._airline, name, partial(_file, path), "NA")

    def _upload_customers(self) -> None:
        with self._teller.bar() as bar:
            task = bar.add_task("made customers (Faker, fixed seed)", total=None)
            self._world.customers = export_customers(
                self._world.folder, lambda done, total: bar.update(task, completed=done, total=total)
            )
            for company in ("bank", "airline", "hotel"):
                partner = self._world.partners[company]
                own = partner.token(partner.for_itself())
                name = f"{company}-customers"
                self._world.datasets[name] = self._declare(partner, own, name, "customers")
                path = self._world.customers[company].path
                report = self._send(bar, partner, name, partial(_file, path))
                if not report["refused"]:
                    raise StoryBroken("dirty rows were expected to be refused", _OK, str(report["accepted"]))

    def _agree_on_flights(self) -> None:
        datasets = [
            _term(self._world.datasets["flights"], FLIGHT_FIELDS, "market_analysis"),
            _term(self._world.datasets["airports"], ("faa", "name", "lat", "lon"), "market_analysis"),
        ]
        agreement, text = self._draft("flights", self._airline, self._hotel, datasets)
        path = self._records(agreement, "flights")
        with_nothing = self._hotel.token(self._hotel.for_itself())
        self._refused("the hotel reads flights under the unsigned draft", self._hotel, with_nothing, path, "2.3.2")
        self._confirm(self._airline, self._hotel)
        self._sign(agreement, text, self._airline)
        self._refused("the airline alone has signed", self._hotel, with_nothing, path, "2.3.2")
        self._sign(agreement, text, self._hotel)
        token = self._hotel.token(self._reading("flights", ("flights", "airports"), "market_analysis"))
        self._refused("nobody has opted in", self._hotel, token, path, "1.3.1")
        for name in ("flights", "airports"):
            secrecy.take_part(expect, agreement, self._world.datasets[name], self._airline, self._hotel)
        page = self._released("both have signed and take part", self._hotel, token, path)
        self._check_fields(page, set(FLIGHT_FIELDS))
        self._teller.show(page["records"][0]["fields"])
        self._refused("tail numbers, which are not agreed", self._hotel, token, path, "4.1.2", fields="tailnum")

    def _agree_on_customers(self) -> None:
        datasets = [_term(self._world.datasets["bank-customers"], CUSTOMER_FIELDS, "customer_referral")]
        agreement, text = self._draft("customers", self._bank, self._hotel, datasets)
        self._confirm(self._bank, self._hotel)
        self._sign(agreement, text, self._bank)
        self._sign(agreement, text, self._hotel)
        path = self._records(agreement, "bank-customers")
        token = self._entrust(agreement, path)
        if self._released("nobody has consented yet", self._hotel, token, path)["records"]:
            raise StoryBroken("people without consent were released", _OK, "")
        self._consent()
        page = self._released(f"{CONSENTING:,} of the bank's customers have consented", self._hotel, token, path)
        self._check_fields(page, set(CUSTOMER_FIELDS))
        self._teller.show(page["records"][0]["fields"])
        self._withdraw(page["records"][0], token, path)

    def _entrust(self, agreement: str, path: str) -> Any:
        """What it takes before one person of the hotel may read customers; returns that person's token."""
        dataset, refer = self._world.datasets["bank-customers"], {"purpose": "customer_referral"}
        secrecy.take_part(expect, agreement, dataset, self._bank, self._hotel)
        person = secrecy.entrust(expect, self._hotel, agreement, dataset, "李娜")
        self._world.persons["customers"] = person
        token = self._hotel.token(self._reading("customers", ("bank-customers",), "customer_referral"))
        self._refused("no impact assessment is on record", self._hotel, token, path, "1.3.4", **refer)
        secrecy.assess(expect, self._bank, agreement, dataset)
        self._refused("the hotel's 李娜 has signed no NDA", self._hotel, token, path, "8.1.1", **refer)
        secrecy.undertake(expect, self._hotel, self._bank, self._world.alliance)
        secrecy.bind(expect, self._hotel, person, self._world.alliance)
        self._teller.say("✍", "the hotel and its 李娜 sign NDAs; the bank has filed its impact assessment")
        return token

    def _consent(self) -> None:
        own = self._bank.token(self._bank.for_itself())
        given = datetime.now(UTC) - timedelta(minutes=1)
        notice_sha256 = self._tell_customers(own, used_from=given)
        numbers = self._world.customers["bank"].numbers[:CONSENTING]
        with self._teller.bar() as bar:
            task = bar.add_task("consents, with the hash of the evidence", total=len(numbers))
            for start in range(0, len(numbers), _BULK):
                items = [
                    {
                        "subject": number,
                        "recipient": self._hotel.member,
                        "purpose": "customer_referral",
                        "fields": list(CUSTOMER_FIELDS),
                        "given_at": instant(given),
                        "evidence_sha256": hashlib.sha256(f"signed form {number}".encode()).hexdigest(),
                        "notice_sha256": notice_sha256,
                    }
                    for number in numbers[start : start + _BULK]
                ]
                answer = self._bank.post(f"/v1/datasets/{self._world.datasets['bank-customers']}/consents", own, items)
                expect("consents are recorded", answer, 201)
                bar.advance(task, len(items))

    def _tell_customers(self, own: Any, *, used_from: datetime) -> str:
        """The bank publishes what its customers were told; returns the digest that consents name."""
        notice = {"name": "referral", "document": referral_notice(self._bank, self._hotel, CUSTOMER_FIELDS)}
        path = f"/v1/datasets/{self._world.datasets['bank-customers']}/notices"
        drafted = expect("a notice is drafted", self._bank.post(path, own, notice), 201)
        in_use = {"used_from": instant(used_from)}
        answer = self._bank.post(f"/v1/notices/{drafted['id']}/publication", own, in_use)
        return str(expect("a notice is published", answer, 200)["sha256"])

    def _withdraw(self, record: Mapping[str, Any], token: Any, path: str) -> None:
        phone = record["fields"]["phone"]
        subject = self._world.customers["bank"].number_of(phone)
        own = self._bank.token(self._bank.for_itself())
        dataset = self._world.datasets["bank-customers"]
        answer = self._bank.post(f"/v1/datasets/{dataset}/withdrawals", own, {"subject": subject})
        expect("a customer withdraws", answer, 200)
        self._teller.say("✔", f"customer {subject} withdraws: one call, one entry, the owner's log is narrowed")
        gone = self._hotel.get(f"{path}/{record['id']}", token)
        expect("the withdrawn customer's record", gone, _NOT_FOUND)
        found = self._hotel.post(f"{path}/query", token, {"filters": {"phone": phone}})
        expect("a search for the withdrawn customer", found, _OK)
        if found.json()["records"]:
            raise StoryBroken("a withdrawn customer is still found", _OK, "")
        self._teller.say("✘ 404", "gone at the very next read: by id, and by telephone number no match")

    def _refuse_the_rest(self) -> None:
        flights_path = self._records(self._world.agreements["flights"], "flights")
        token = self._hotel.token(self._reading("flights", ("flights",), "market_analysis"))
        self._refused("another purpose", self._hotel, token, flights_path, "8.2.2", purpose="joint_marketing")
        self._strike()
        self._refused("a purpose nobody registered", self._hotel, token, flights_path, "1.1", purpose="curiosity")
        past = datetime.now(UTC) - timedelta(days=2)
        term = _term(self._world.datasets["planes"], ("tailnum", "manufacturer", "seats"), "risk_control")
        ended, text = self._draft("ended", self._airline, self._bank, [term], start=past, end=past + timedelta(days=1))
        self._confirm(self._airline, self._bank)
        self._sign(ended, text, self._airline)
        self._sign(ended, text, self._bank)
        bank = self._bank.token(self._bank.for_itself())
        self._refused("an agreement that ended yesterday", self._bank, bank, self._records(ended, "planes"), "2.3.2")
        stranger = self._retailer.token(self._retailer.for_itself())
        asked = self._retailer.get(flights_path, stranger, purpose="market_analysis")
        expect("another member asks", asked, _NOT_FOUND)
        self._teller.say("✘ 404", "another member of the alliance: as if there were nothing")

    def _strike(self) -> None:
        """Another person of the hotel reads, until the bank strikes that person."""
        agreement, dataset = self._world.agreements["customers"], self._world.datasets["bank-customers"]
        path = self._records(agreement, "bank-customers")
        person = secrecy.entrust(expect, self._hotel, agreement, dataset, "王伟")
        secrecy.bind(expect, self._hotel, person, self._world.alliance)
        token = self._hotel.token(self._hotel.under(agreement, [dataset], ["customer_referral"], person))
        self._released("王伟 of the hotel, on the roster too", self._hotel, token, path)
        secrecy.strike(expect, self._bank, agreement, dataset, person)
        what = "the bank strikes 王伟 off: the same token, at the next call"
        self._refused(what, self._hotel, token, path, "8.2.1", purpose="customer_referral")

    def _dispute_airports(self) -> None:
        """The hotel disputes one dataset of the agreement, reads the other, and two operators resolve it."""
        agreement, airports = self._world.agreements["flights"], self._world.datasets["airports"]
        token = self._hotel.token(self._reading("flights", ("flights", "airports"), "market_analysis"))
        claim = {"kind": "dispute", "agreement": agreement, "claim": "The coordinates are wrong."}
        about = {"subject": {"kind": "term", "id": airports}}
        opened = self._hotel.post("/v1/cases", self._hotel.token(self._hotel.for_itself()), claim | about)
        case = str(expect("a dispute is opened", opened, 201)["id"])
        path = self._records(agreement, "airports")
        held = self._hotel.get(path, token, purpose="market_analysis")
        if expect("what is disputed", held, _LOCKED)["case"] != case:
            raise StoryBroken("the hold names its case", held.status_code, held.text)
        self._teller.say(
            "✘ 423", f"the hotel disputes the airports: [bold]DISPUTED_ITEM[/] (clause 7.2.3); case {case[:13]}…"
        )
        self._released("the flights, under the same agreement", self._hotel, token, self._records(agreement, "flights"))
        self._resolve(case)
        self._released("two operators resolve it: the airports", self._hotel, token, path)

    def _declare(self, partner: Partner, token: Any, name: str, kind: str) -> str:
        answer = partner.post("/v1/datasets", token, {"name": name, "schema": schema(kind)})
        return str(expect(f"dataset {name}", answer, 201)["id"])

    def _send(
        self, bar: Progress, partner: Partner, name: str, rows: Callable[[Any], Any], null: str | None = None
    ) -> Mapping[str, Any]:
        task = bar.add_task(f"{partner.name}: {name}", total=None)
        own = partner.token(partner.for_itself())
        report = partner.upload(
            self._world.datasets[name],
            own,
            rows(lambda done, total: bar.update(task, completed=done, total=total)),
            f"demo-{name}",
            null=null,
        )
        said = f"{partner.name}: {name}: {report['accepted']:,} rows sealed, {report['refused']:,} refused"
        bar.update(task, description=said)
        return report

    def _draft(
        self,
        name: str,
        owner: Partner,
        recipient: Partner,
        datasets: list[dict[str, Any]],
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> tuple[str, bytes]:
        begin = start or datetime.now(UTC) - timedelta(minutes=5)
        terms = {
            "owner": owner.member,
            "recipient": recipient.member,
            "title": f"{owner.name} → {recipient.name}: {name}",
            "datasets": datasets,
            "frequency": {"reads": 100_000, "per_seconds": 86_400},
            "start": instant(begin),
            "end": instant(end or begin + timedelta(days=365)),
            "confidentiality_years": 3,
            "onward": "written_consent",
        }
        own = owner.token(owner.for_itself())
        drafted = expect(f"draft {name}", owner.post("/v1/agreements", own, terms), 201)
        self._world.agreements[name] = drafted["id"]
        text = owner.get(f"/v1/agreements/{drafted['id']}/terms", own)
        expect(f"terms of {name}", text, _OK)
        return drafted["id"], text.content

    def _confirm(self, one: Partner, other: Partner) -> None:
        for confirming, confirmed in ((one, other), (other, one)):
            own = confirming.token(confirming.for_itself())
            answer = confirming.post(f"/v1/signing-keys/{confirmed.fingerprint}/confirmation", own)
            if not answer.ok:
                raise StoryBroken("a signing key is confirmed", answer.status_code, answer.text)

    def _sign(self, agreement: str, text: bytes, partner: Partner) -> None:
        own = partner.token(partner.for_itself())
        answer = partner.post(f"/v1/agreements/{agreement}/signatures", own, {"jws": partner.sign(text)})
        if answer.status_code not in {200, 201}:
            raise StoryBroken(f"{partner.name} signs", answer.status_code, answer.text)
        self._teller.say("✍", f"{partner.name} signs the canonical text (JWS, a key that its server does not hold)")

    def _reading(self, agreement: str, names: tuple[str, ...], purpose: str) -> list[dict[str, Any]]:
        datasets = [self._world.datasets[name] for name in names]
        person = self._world.persons.get(agreement, "")
        return self._hotel.under(self._world.agreements[agreement], datasets, [purpose], person)

    def _records(self, agreement: str, dataset: str) -> str:
        return f"/v1/agreements/{agreement}/datasets/{self._world.datasets[dataset]}/records"

    def _refused(self, what: str, partner: Partner, token: Any, path: str, clause: str, **params: str) -> None:
        answer = partner.get(path, token, **{"purpose": "market_analysis", **params})
        problem = expect(what, answer, _FORBIDDEN)
        reasons = {reason["clause"]: reason["code"] for reason in problem["reasons"]}
        if clause not in reasons or "event_id" not in problem:
            raise StoryBroken(f"{what}, by clause {clause}", answer.status_code, answer.text)
        self._teller.say(
            "✘ 403", f"{what}: [bold]{reasons[clause]}[/] (clause {clause}); entry {problem['event_id'][:13]}…"
        )

    def _released(self, what: str, partner: Partner, token: Any, path: str) -> Mapping[str, Any]:
        page: Mapping[str, Any] = expect(what, partner.get(path, token), _OK)
        count, event = len(page["records"]), page["event_id"][:13]
        self._teller.say("✔ 200", f"{what}: {count} records on this page; entry {event}…, with receipt")
        return page

    def _check_fields(self, page: Mapping[str, Any], agreed: set[str]) -> None:
        if any(not set(record["fields"]) <= agreed for record in page["records"]) or not page["records"]:
            raise StoryBroken("fields beyond the agreed ones were released", _OK, "")


def _term(dataset: str, fields: tuple[str, ...], purpose: str) -> dict[str, Any]:
    term = {"dataset": dataset, "fields": list(fields), "purposes": [purpose], "methods": ["api"]}
    return {**term, "lawful_basis": "consent"}


def _file(path: Path, report: Callable[[int, int], None]) -> Any:
    with path.open("rb") as file:
        yield from reported(file, path.stat().st_size, report)
