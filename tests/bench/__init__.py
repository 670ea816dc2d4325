"""``make bench``: everything is measured in one interleaved run, and reported as ratios."""
