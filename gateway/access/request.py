"""What is asked: by whom, of which data, under which agreement, for which purpose."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from gateway.identity import PROFILE, SignedRequest, Subject

MOST_RECORDS = 100
"""The largest page: its entry stays small, and a warrant is redeemed within its seconds."""


class AccessRequest(NamedTuple):
    """One wish to read records of a dataset under an agreement.

    `fields` empty means: all that the agreement grants. `record` names a single record by its id (32
    hexadecimal characters). `filters` maps field names to the value they must equal. `limit` is 1 to 100. `signed`
    is the message that asked, if it carried a signature that holds. `upload`: of this upload's records alone.
    """

    subject: Subject
    agreement: str
    dataset: str
    purpose: str
    action: str = "read"
    method: str = "api"
    fields: tuple[str, ...] = ()
    record: str | None = None
    filters: Mapping[str, str] = MappingProxyType({})
    limit: int = MOST_RECORDS
    cursor: str | None = None
    signed: SignedRequest | None = None
    upload: int | None = None

    @property
    def includes(self) -> tuple[str, ...]:
        """The actions that an agreement may demand a signature for, which this request is."""
        return (self.action, "query") if self.filters else (self.action,)

    @property
    def signature(self) -> str:
        """The profile that the message is signed by, or `none`."""
        return PROFILE if self.signed is not None else "none"

    @property
    def person(self) -> str:
        """Who of the member's people asks, as the token says; `none` for nobody."""
        return self.subject.person_under(self.agreement)

    def question(self) -> tuple[object, ...]:
        """What of the request the policy is asked about, beside what governs it."""
        subject = self.subject
        asked = (self.action, self.method, self.purpose, self.fields, tuple(self.filters), self.signature)
        return subject.agreements, subject.client_version, *asked
