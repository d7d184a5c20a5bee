"""The policy as formulas: what holds for every input, proven by z3, not sampled.

`python -m tests.policy.smt` (`make prove`) translates the rules of `policies/` and proves the named invariants.
"""
