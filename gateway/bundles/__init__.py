"""Which products suit a person? By rules that explain themselves, from what that person consented to (clause 4.3.3)."""
