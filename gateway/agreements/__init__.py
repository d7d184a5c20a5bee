"""On what terms? Agreements that two members sign, and the holds that freeze what they disagree about."""

from gateway.agreements.agreement import Agreement, Signature, agreement_case
from gateway.agreements.agreements import Agreements
from gateway.agreements.dataset_terms import Cadence, DatasetTerm, RowPredicate, Volume
from gateway.agreements.datasets import Datasets
from gateway.agreements.drafting import Drafting
from gateway.agreements.ending import Endings
from gateway.agreements.general_terms import Dispute, Frequency, Remedies, RevenueRatio, SignedMessages
from gateway.agreements.held import HoldSubject, holds_case
from gateway.agreements.holds import Holds
from gateway.agreements.life import AgreementLife
from gateway.agreements.negotiation import Negotiation
from gateway.agreements.pdf.evidence import PdfEvidence
from gateway.agreements.proof import TamperedAgreement
from gateway.agreements.revision import touch_agreement
from gateway.agreements.terms import Terms, parse_terms

__all__ = [
    "Agreement",
    "AgreementLife",
    "Agreements",
    "Cadence",
    "DatasetTerm",
    "Datasets",
    "Dispute",
    "Drafting",
    "Endings",
    "Frequency",
    "HoldSubject",
    "Holds",
    "Negotiation",
    "PdfEvidence",
    "Remedies",
    "RevenueRatio",
    "RowPredicate",
    "Signature",
    "SignedMessages",
    "TamperedAgreement",
    "Terms",
    "Volume",
    "agreement_case",
    "holds_case",
    "parse_terms",
    "touch_agreement",
]
