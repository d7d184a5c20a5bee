"""What do operators see? Pages for officers, admins and the secretariat, rendered here; no asset from elsewhere."""
