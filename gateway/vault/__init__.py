"""Keys, sealing and opening: how what members own is kept unreadable until a warrant names it."""
