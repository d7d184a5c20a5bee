"""What may a person ask? Requests about one's own data, their clocks, and what is done about them."""
