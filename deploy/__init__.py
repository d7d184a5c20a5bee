"""How the production set is put together."""
