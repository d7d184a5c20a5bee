"""What members state about themselves and their data under their own signature (clause 1.3.3)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text

from gateway.database import metadata
from gateway.database.guards import Guard, changed, guarded

attestation = Table(
    "attestation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("alliance_id", Text, ForeignKey("alliance.id"), nullable=False),
    Column("member_id", Text, ForeignKey("member.id"), nullable=False),
    Column("about", Text, nullable=False),
    Column("jws", Text, nullable=False),
    Column("sha256", Text, nullable=False, unique=True),
    Column("corrects", Text, ForeignKey("attestation.id"), unique=True),
    Column("made_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("breach", Text),
    CheckConstraint("state IN ('standing', 'corrected', 'false')", name="state"),
    CheckConstraint("(state = 'false') = (breach IS NOT NULL)", name="breach"),
)
"""`jws` is the original, `sha256` its digest. `about` is `member`, or the id of the dataset that it is about."""
Index(None, attestation.c.member_id, attestation.c.id)
Index(None, attestation.c.alliance_id, attestation.c.about, attestation.c.id)

_KEPT: Final = "archived: what a member attested keeps its words"
_FIXED: Final = ("id", "alliance_id", "member_id", "about", "jws", "sha256", "corrects", "made_at")

guarded(
    attestation,
    [
        Guard(
            "attestation_is_kept",
            "UPDATE",
            _KEPT,
            lambda differs: f"old.state = 'false' OR {changed(_FIXED, differs)}",
        ),
        Guard("attestation_stays", "DELETE", _KEPT),
    ],
)
