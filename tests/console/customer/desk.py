"""A desk that remembers, for tests of the pages alone: one customer, two questions, one consent, one late recipient."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace

from gateway.consents.asking import Kind, Visit
from gateway.consents.contacts import Channel, Holder, Role
from gateway.console.customer.desk import Came
from gateway.console.customer.views import (
    Answer,
    Asked,
    Company,
    Decision,
    Disclosure,
    Holding,
    Item,
    Line,
    Notice,
    Party,
    Product,
    Progress,
    Receipt,
    Record,
    Suggestion,
    Switch,
    Wish,
)
from gateway.errors import Conflicting, Invalid, NotFound, TooManyAttempts

CODE = "314159"
CONTACT = "13800138000"
LINK = "Zm9yLXRlc3RzLW9ubHktbm8tc2VjcmV0"
DAY = 86_400_000
AT = 1_790_000_000_000
NOTICE = Notice("hotel-stay", "3", "7f" * 32)
_TEXTS = {
    "en": {
        "bank": "Tea Horse Bank",
        "hotel": "Lantern Hotels",
        "air": "Crane Airlines",
        "purpose": "A hotel offer that you asked for",
        "method": "Stored for the offer, compared with nothing",
        "until": "90 days, then deleted",
        "withdrawal": "On this page, at any time",
        "name": "Name",
        "phone": "Phone number",
        "birthday": "Date of birth",
        "budget": "Budget",
        "reason": "So that the offer can be made",
        "impact": "Somebody could guess your age.",
        "likes": "You like to rest",
    },
    "zh": {
        "bank": "茶马银行",
        "hotel": "灯笼酒店",
        "air": "仙鹤航空",
        "purpose": "您所咨询的酒店优惠",
        "method": "仅为提供该优惠而保存，不作其他比对",
        "until": "90 天，期满删除",
        "withdrawal": "随时在本页面撤回",
        "name": "姓名",
        "phone": "手机号",
        "birthday": "出生日期",
        "budget": "预算",
        "reason": "用于提供该优惠",
        "impact": "他人可能据此推断您的年龄。",
        "likes": "您喜欢休养",
    },
}


def _visit(kind: Kind) -> Visit:
    """An open visit of somebody."""
    persons = (Holder("bank", "pseudonym", Role.OWN),)
    return Visit("visit", kind, persons, "request", Channel.SMS, "en", b"term", AT, code_key=b"")


def _holding(name: str, recipient: str, state: str = "given") -> Holding:
    return Holding(
        id=name,
        kind="disclosure",
        state=state,
        provider="bank",
        recipient=recipient,
        purpose="purpose",
        fields=("name", "phone"),
        channels=(),
        origin="page",
        given_at=AT,
        expires_at=AT + 90 * DAY,
        changed_at=AT,
    )


@dataclass(slots=True)
class FakeDesk:
    """See the module; `decisions` is what it was told."""

    kind: Kind = Kind.REQUEST
    open_questions: list[str] = field(default_factory=lambda: ["disclosure-1", "contact-1"])
    holdings: list[Holding] = field(default_factory=lambda: [_holding("old-1", "air"), _holding("old-2", "hotel")])
    decisions: list[Decision] = field(default_factory=list)
    refused_at_once: list[str] = field(default_factory=list)
    more: tuple[Line, ...] = ()
    put_off: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    told: list[Wish] = field(default_factory=list)
    retracted: set[str] = field(default_factory=set)
    switched: dict[str, bool] = field(default_factory=lambda: {"bank": False, "air": True})
    waiting: dict[str, int] = field(default_factory=dict)
    visits: dict[str, Visit] = field(default_factory=dict)

    async def ask_for_link(self, contact: str, language: str) -> None:
        if not contact.isdigit() and "@" not in contact:
            raise Invalid("invalid_contact", "No contact.", field="contact")
        self.asked.append(contact)

    async def asker(self, token: str) -> str:
        if token != LINK:
            raise NotFound
        return "" if self.kind is Kind.SELF_SERVICE else "Tea Horse Bank 茶马银行"

    async def open(self, token: str, came: Came) -> str:
        if token != LINK:
            raise NotFound
        ticket = secrets.token_urlsafe(32)
        self.waiting[ticket] = 0
        return ticket

    async def send_code(self, ticket: str) -> None:
        self.waiting[ticket] += 1
        if self.waiting[ticket] > 1:
            raise TooManyAttempts("too_soon", "A code was sent just now.")

    async def confirm(self, ticket: str, code: str) -> None:
        if ticket not in self.waiting:
            raise TooManyAttempts("code_over", "This code is over.")
        if code != CODE:
            raise Invalid("code_wrong", "This is not the code.", field="code")
        del self.waiting[ticket]
        self.visits[ticket] = _visit(self.kind)

    async def visit(self, ticket: str) -> Visit | None:
        return self.visits.get(ticket)

    async def questions(self, visit: Visit, language: str) -> tuple[Item, ...]:
        asked = [_item(one, language) for one in self.open_questions]
        return tuple(replace(one, put_off=one.id in self.put_off, optional=one.optional + self.more) for one in asked)

    async def decide(self, visit: Visit, decision: Decision, language: str) -> None:
        if decision.notice_sha256 != NOTICE.sha256:
            raise Conflicting("notice_changed", "The notice is another one now.")
        self.decisions.append(decision)
        if decision.answer is Answer.LATER:
            self.put_off.add(decision.item)
            return
        self.open_questions.remove(decision.item)
        if decision.answer is Answer.GIVE:
            self.holdings.append(_holding(decision.item, "hotel"))

    async def refuse_all(self, visit: Visit) -> None:
        self.refused_at_once += self.open_questions
        self.open_questions.clear()

    async def record(self, visit: Visit, language: str) -> Record:
        said = _TEXTS[language]
        late = Progress(said["air"], "withdrawn", "overdue", AT, AT + 3 * DAY, None, None, "", "")
        done = replace(
            late, recipient=said["hotel"], state="complied", complied_at=AT + DAY, how="deleted", via=said["air"]
        )
        refused = replace(_holding("no-1", "hotel", "refused"), given_at=None, quiet_until=AT + 180 * DAY)
        return Record(
            holdings=tuple(
                replace(
                    one,
                    provider=said[one.provider],
                    recipient=said[one.recipient],
                    purpose=said["purpose"],
                    fields=tuple(said[name] for name in one.fields),
                    progress=(late, done) if one.state == "withdrawn" else (),
                )
                for one in [*self.holdings, refused]
            ),
            disclosures=(Disclosure(AT, said["air"], said["purpose"], (said["name"],), "0199-event"),),
            receipts=(Receipt("receipt-1", "given", said["air"], AT),),
            officers=(Party(said["bank"], "privacy@bank.example"), Party(said["hotel"], "+86 10 5555 0100")),
            waiting=len(self.open_questions),
            companies=(Company("bank", said["bank"]), Company("air", said["air"])),
            kinds=("correction", "deletion", "complaint"),
            suggestions=(
                Suggestion(AT, said["hotel"], True, (Product("Spa 温泉", (said["likes"],)),), (said["budget"],)),
                Suggestion(AT, said["hotel"], False, (Product("City 城市", ()),), ()),
            ),
            switches=tuple(Switch(company, said[company], off) for company, off in self.switched.items()),
            asked=(
                Asked("answered", "copy", said["bank"], "answered", AT, AT + 15 * DAY, "OK 已办理", is_exported=True),
                *(
                    Asked(
                        str(at),
                        one.kind,
                        said[one.company],
                        "retracted" if str(at) in self.retracted else "open",
                        AT,
                        AT + 15 * DAY,
                        "",
                        can_be_retracted=str(at) not in self.retracted,
                    )
                    for at, one in enumerate(self.told)
                ),
            ),
        )

    async def withdraw(self, visit: Visit, item: str) -> None:
        if item not in {one.id for one in self.holdings if one.state == "given"}:
            raise NotFound
        self._end(item)

    async def withdraw_all(self, visit: Visit) -> None:
        for one in list(self.holdings):
            self._end(one.id)

    def _end(self, item: str) -> None:
        self.holdings = [replace(one, state="withdrawn") if one.id == item else one for one in self.holdings]

    async def receipt(self, visit: Visit, receipt: str) -> str:
        if receipt != "receipt-1":
            raise NotFound
        return "e30.e30.c2ln"

    async def copy(self, visit: Visit) -> dict[str, object]:
        return {"receipts": ["e30.e30.c2ln"]}

    async def ask(self, visit: Visit, wish: Wish) -> str:
        self.told.append(wish)
        return f"K7-000{len(self.told)}"

    async def retract(self, visit: Visit, request: str) -> None:
        if request not in {str(at) for at in range(len(self.told))}:
            raise NotFound
        self.retracted.add(request)

    async def export(self, visit: Visit, request: str) -> bytes:
        if request != "answered":
            raise NotFound
        return b"PK"

    async def switch(self, visit: Visit, company: str, *, off: bool) -> None:
        if company not in self.switched:
            raise NotFound
        self.switched[company] = off

    async def leave(self, ticket: str) -> None:
        self.visits.pop(ticket, None)


def _item(name: str, language: str) -> Item:
    said = _TEXTS[language]

    def line(field_name: str, impact: str = "") -> Line:
        return Line(field_name, said[field_name], said["reason"], impact)

    asks_contact = name.startswith("contact")
    return Item(
        id=name,
        kind="contact" if asks_contact else "disclosure",
        provider=said["bank"],
        recipient=said["hotel"],
        facts=(
            ("fact_recipient", said["hotel"]),
            ("fact_recipient_contact", "+86 10 5555 0100"),
            ("fact_provider", said["bank"]),
            ("fact_purpose", said["purpose"]),
            ("fact_method", said["method"]),
            ("fact_retention", said["until"]),
            ("fact_withdrawal", said["withdrawal"]),
        ),
        required=() if asks_contact else (line("name"), line("phone")),
        optional=() if asks_contact else (line("birthday", said["impact"]), line("budget")),
        channels=("sms", "email") if asks_contact else (),
        notice=NOTICE,
    )
