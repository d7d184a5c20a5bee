"""What do operators see, and customers? Pages, rendered here; no asset from elsewhere."""
