"""What members attest about themselves and their data, and what becomes of a false word (clause 1.3.3)."""

from gateway.members.attestations.attestations import Attestations, Breaches, DatasetOwners
from gateway.members.attestations.statement import TYP, Statement

__all__ = ["TYP", "Attestations", "Breaches", "DatasetOwners", "Statement"]
