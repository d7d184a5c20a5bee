"""Which person asks? Operators of an alliance: how they are enrolled, sign in, confirm, and what their role allows."""
