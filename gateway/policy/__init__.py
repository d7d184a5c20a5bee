"""May they? One policy, two engines, one answer that never fails open."""

from gateway.policy.bundle import PolicyBundle, load_bundle
from gateway.policy.case import CIRCUMSTANCES, NAME_PATTERN
from gateway.policy.decisions import DecisionPoint, SelfTestFailed
from gateway.policy.engine import Engine, EngineUnavailable
from gateway.policy.model import (
    Confidentiality,
    Decision,
    Frequency,
    Mask,
    Obligations,
    SubjectConsent,
    Volume,
    indeterminate,
)

__all__ = [
    "CIRCUMSTANCES",
    "NAME_PATTERN",
    "Confidentiality",
    "Decision",
    "DecisionPoint",
    "Engine",
    "EngineUnavailable",
    "Frequency",
    "Mask",
    "Obligations",
    "PolicyBundle",
    "SelfTestFailed",
    "SubjectConsent",
    "Volume",
    "indeterminate",
    "load_bundle",
]
