"""Find repeated work and train small specialists for it."""
