"""``metaqore demo``: a whole MetaQore at work on real input, from submission to audit."""
