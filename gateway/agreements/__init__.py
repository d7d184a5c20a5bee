"""On what terms? Agreements that two members sign, and the holds that freeze what they disagree about."""

from gateway.agreements.agreement import Agreement, Signature, agreement_case
from gateway.agreements.agreements import Agreements
from gateway.agreements.circumstances import Circumstances
from gateway.agreements.datasets import Datasets
from gateway.agreements.ending import Endings
from gateway.agreements.holds import Holds, HoldSubject, holds_case
from gateway.agreements.life import AgreementLife
from gateway.agreements.proof import TamperedAgreement
from gateway.agreements.revision import touch_agreement
from gateway.agreements.signatures import sign_terms
from gateway.agreements.terms import DatasetTerm, Frequency, Terms, parse_terms

__all__ = [
    "Agreement",
    "AgreementLife",
    "Agreements",
    "Circumstances",
    "DatasetTerm",
    "Datasets",
    "Endings",
    "Frequency",
    "HoldSubject",
    "Holds",
    "Signature",
    "TamperedAgreement",
    "Terms",
    "agreement_case",
    "holds_case",
    "parse_terms",
    "sign_terms",
    "touch_agreement",
]
