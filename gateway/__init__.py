"""Alliance Gateway: the one door through which an alliance of companies shares data."""
