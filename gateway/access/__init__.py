"""The seam: the only way that data leaves the gateway."""
