"""Two engines, one schema, one way to speak to them."""

from gateway.database.interface import (
    AlreadyExists,
    CommitUnknown,
    Database,
    DatabaseUnavailable,
    NotStorable,
    Reading,
    Row,
    TableMissing,
    Transaction,
)
from gateway.database.statements import Query, metadata

__all__ = [
    "AlreadyExists",
    "CommitUnknown",
    "Database",
    "DatabaseUnavailable",
    "NotStorable",
    "Query",
    "Reading",
    "Row",
    "TableMissing",
    "Transaction",
    "metadata",
]
