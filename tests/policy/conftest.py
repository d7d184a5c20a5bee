"""The policy as the project ships it, and the engines that run it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.policy import PolicyBundle, load_bundle
from gateway.policy.rego import CompiledRules, EmbeddedRego, compile_bundle

POLICIES = Path(__file__).resolve().parents[2] / "policies"


@pytest.fixture(scope="session")
def bundle() -> PolicyBundle:
    """The policy of the project."""
    return load_bundle(POLICIES)


@pytest.fixture(scope="session")
def rules(bundle: PolicyBundle) -> CompiledRules:
    """The policy compiled for the embedded engine, for use in the test's own thread."""
    return compile_bundle(bundle)


@pytest.fixture
async def embedded(bundle: PolicyBundle) -> AsyncIterator[EmbeddedRego]:
    """The embedded engine."""
    engine = EmbeddedRego(bundle)
    yield engine
    await engine.close()
