"""What the API server has, in memory: the kinds that a reconcile reads, and who is to be worked on when one changes."""
