"""Who owes what, by when? Deliveries that are due, and data to return or destroy after an agreement's end."""
