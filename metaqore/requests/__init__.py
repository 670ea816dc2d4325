"""Accept requests (T1) and decide them (T2)."""
