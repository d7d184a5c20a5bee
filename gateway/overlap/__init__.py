"""How many customers do two members share? A count, coarse and seldom, before either refers anybody (clause 2.2.1)."""
