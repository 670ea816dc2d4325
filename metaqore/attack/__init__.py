"""What adversaries do, as data: scenarios, the texts that they are filled with, and the ways to disguise them.

Pure and seeded: the same suite and seed give the same cases. ``metaqore.cli.attack`` sends them to a running engine;
HMCP's gate meets the same texts through a port.
"""
