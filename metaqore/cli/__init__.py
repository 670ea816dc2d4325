"""The metaqore command."""
