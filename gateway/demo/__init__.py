"""The demo alliance: real tables, made people, and the story of what the gateway does with them."""
