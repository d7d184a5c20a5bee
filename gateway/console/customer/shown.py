"""From records, notices and follow-ups to what the pages show, in the reader's language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from gateway.access.disclosures import Disclosure
from gateway.clock import MILLISECONDS
from gateway.consents.asking.deciding import ASKED
from gateway.consents.following import Progress
from gateway.consents.notice import Notice
from gateway.consents.past import COOL_DOWN_S
from gateway.consents.record import Record, names_of
from gateway.consents.states import State
from gateway.console.customer import views
from gateway.console.customer.told import Told
from gateway.console.customer.words import WORDS, say

LANGUAGE_TAGS: Final = {"en": "en", "zh": "zh-CN"}
"""The pages' languages, as notices and messages name them."""

_DAY_S: Final = 86_400
_NEVER_GIVEN: Final = ASKED | {State.REFUSED, State.LAPSED, State.DRAFT}

Names = Callable[[str], str]
"""The name of a member by its id."""


def item(record: Record, told: Told, language: str) -> views.Item:
    """A question, as its notice puts it."""
    notice = told.notice(record)
    assert notice is not None, "nobody is asked without a notice"
    said, tag = notice.items[record.key], LANGUAGE_TAGS[language]
    dataset = told.datasets[record.dataset_no]
    lines = {field["name"]: _line(field, tag) for field in said.get("fields", ())}
    return views.Item(
        id=record.id,
        kind=record.kind,
        provider=told.name(record.owner),
        recipient=said["recipient"]["name"],
        facts=tuple(_facts(record, notice, said, language)),
        required=tuple(lines[name] for name in names_of(dataset, record.required)),
        optional=tuple(lines[name] for name in names_of(dataset, record.optional)),
        channels=record.channels,
        notice=views.Notice(notice.name, str(notice.version), notice.sha256),
        put_off=record.state is State.DEFERRED,
    )


def holding(record: Record, told: Told, language: str, *, now_s: int, steps: Sequence[Progress]) -> views.Holding:
    """A consent as it stands at an instant, and how far those have come who must stop."""
    tag, state = LANGUAGE_TAGS[language], record.effective(now_s)
    quiet_until = record.changed_at + COOL_DOWN_S * MILLISECONDS
    is_quiet = state is State.REFUSED and quiet_until > now_s * MILLISECONDS
    titles = told.titles(record, tag)
    return views.Holding(
        id=record.id,
        kind=record.kind,
        state=state.value,
        provider=told.name(record.owner),
        recipient=told.name(record.recipient),
        purpose=_purpose(record, told, tag),
        fields=tuple(titles.get(name, name) for name in names_of(told.datasets[record.dataset_no], record.fields)),
        channels=record.channels,
        origin=record.origin,
        given_at=None if state in _NEVER_GIVEN else _milliseconds(record.given_at),
        expires_at=_milliseconds(record.expires_at),
        changed_at=record.changed_at,
        quiet_until=quiet_until if is_quiet else None,
        progress=tuple(_steps(steps, told)),
    )


def disclosure(of: Disclosure, told: Told, language: str) -> views.Disclosure:
    """What left, in the words of the notice that it was agreed to under."""
    tag, record = LANGUAGE_TAGS[language], told.records.get(of.consent)
    titles = told.titles(record, tag)
    purpose = of.purpose if record is None else _purpose(record, told, tag)
    fields = tuple(titles.get(name, name) for name in of.fields)
    return views.Disclosure(of.at, told.name(of.recipient), purpose, fields, of.event_id)


def officers(notice: Notice) -> Iterator[views.Party]:
    """Whom a notice names as answering for the data."""
    for party in (*notice.document["controllers"], *(told["recipient"] for told in notice.document["items"])):
        yield views.Party(party["name"], party["contact"])


def _purpose(record: Record, told: Told, tag: str) -> str:
    notice = told.notice(record)
    return record.purpose if notice is None else str(notice.items[record.key]["purpose_text"][tag])


def _steps(steps: Iterable[Progress], told: Told, via: str = "") -> Iterator[views.Progress]:
    """Each recipient, and behind it those to whom it passed the data on."""
    for step in steps:
        name = step.holder or told.name(step.recipient)
        instants = (step.queued_at, step.due_at, step.acknowledged_at, step.complied_at)
        yield views.Progress(name, step.cause, step.state, *instants, how=step.how or "", via=via)
        yield from _steps(step.onward, told, name)


def _facts(record: Record, notice: Notice, said: Mapping[str, Any], language: str) -> Iterator[tuple[str, str]]:
    """The notice's lines, in the order in which Order 790 Art. 21 has them, and what else the notice says."""
    tag, document = LANGUAGE_TAGS[language], notice.document
    provider = next(party for party in document["controllers"] if party["member"] == record.owner)
    yield "fact_recipient", said["recipient"]["name"]
    yield "fact_recipient_contact", said["recipient"]["contact"]
    yield "fact_provider", provider["name"]
    yield "fact_provider_contact", provider["contact"]
    yield "fact_purpose", said["purpose_text"][tag]
    yield "fact_method", said["methods"][tag]
    period = _period(said["retention"]["period"], language)
    yield "fact_retention", say(language, f"after_{said['retention']['after']}", period=period)
    yield "fact_term", _count(record.term_s // _DAY_S, "D", language)
    yield (
        "fact_storage",
        ("、" if language == "zh" else ", ").join(_country(code, language) for code in document["storage_locations"]),
    )
    if "cross_border" in said:
        ground = said["cross_border"]
        yield "fact_cross_border", say(language, f"ground_{ground['mechanism']}", number=ground["number"])
    for word in ("consequences", "security"):
        if word in said:
            yield f"fact_{word}", said[word][tag]
    if document["automated_decisions"]["used"]:
        yield "fact_automated", document["automated_decisions"]["explanation"][tag]
    yield "fact_withdrawal", document["withdrawal"][tag]
    yield "fact_rights", document["rights"][tag]
    yield "fact_rights_contact", document["rights_contact"]


def _line(field: Mapping[str, Any], tag: str) -> views.Line:
    """A field; of a sensitive one also why it must be this, and what it may do to the person (PIPL Art. 30)."""
    reasons = [field[word][tag] for word in ("reason", "necessity") if word in field]
    impact = field["impact"][tag] if "impact" in field else ""
    return views.Line(field["name"], field["category"][tag], " ".join(reasons), impact)


def _period(period: str, language: str) -> str:
    """A period as P1Y, P6M or P30D, in words."""
    return _count(int(period[1:-1]), period[-1], language)


def _count(count: int, unit: str, language: str) -> str:
    return say(language, f"period_1{unit}") if count == 1 else say(language, f"period_{unit}", count=str(count))


def _country(code: str, language: str) -> str:
    word = f"country_{code}"
    return say(language, word) if word in WORDS else code


def _milliseconds(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * MILLISECONDS
