"""What went wrong, and what follows? Disputes, breach candidates, leaks and investigations."""
