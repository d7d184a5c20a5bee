"""A decision together with what it was made from and what it was made for."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from gateway.access.governing import Governing
from gateway.access.obliged import Owed
from gateway.access.selection import NOTHING, Selected, Selection
from gateway.catalog import Dataset
from gateway.ledger import Effect, OpeningGroup
from gateway.policy import Decision, indeterminate
from gateway.vault.sealed import Layout, refs

_consented = attrgetter("consented")


class Judgement(NamedTuple):
    """One request's decision, its input, and the sealed records that it covers."""

    governing: Governing
    case: Mapping[str, Any]
    decision: Decision
    engine: str
    """The engine that decided, by the policy of `governing.policy_digest`."""
    now_s: int
    owed: Owed | None
    """What comes with a permit; none comes without."""
    selection: Selection = NOTHING
    cursor: str | None = None
    sealed_query: Mapping[str, str] | None = None

    @property
    def permits(self) -> bool:
        """Whether the policy permits; whether anything matched is another question."""
        return self.decision.effect is Effect.PERMIT

    @property
    def dataset(self) -> Dataset:
        """The dataset that is read. A permit is impossible without one: no field of it could be granted."""
        assert self.governing.dataset is not None
        return self.governing.dataset

    @property
    def layout(self) -> Layout:
        """How the dataset's records are sealed."""
        return self.dataset.layout

    @property
    def holding_case(self) -> str | None:
        """The case whose hold stands over what was asked, at the instant of the judgement."""
        standing = [one for one in self.governing.holds if one["from"] <= self.now_s < one["until"]]
        return standing[0]["case"] if standing else None

    @property
    def valid_until_s(self) -> int:
        """The first instant at which the answer could change: by the policy, or by a consent that ends."""
        ends = [s.consent_ends for s in self.selection.records if s.consent_ends is not None]
        return min([self.decision.valid_until, *ends])

    def without_answer(self) -> Judgement:
        """The same request, with no usable answer."""
        decision = indeterminate("MOVED", self.decision.input_sha256)
        return self._replace(decision=decision, owed=None, selection=NOTHING, cursor=None, sealed_query=None)

    def in_logged_order(self) -> list[Selected]:
        """The selected records as their groups name them: by consent, then by id."""
        return sorted(self.selection.records, key=_consented)

    def groups(self) -> tuple[OpeningGroup, ...]:
        """What will be opened, records with equal consent together.

        A class is opened if one of its fields is granted and consented; its other fields are withheld.
        """
        groups = []
        for consented, selected in groupby(self.in_logged_order(), key=_consented):
            fields, classes, withheld = self.dataset.openable(self.decision.fields, consented)
            records = tuple(refs([sealed for sealed, *_ in selected]))
            groups.append(OpeningGroup(classes=classes, fields=fields, withheld=withheld, records=records))
        return tuple(groups)
