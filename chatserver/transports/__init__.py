"""Ways in: one module each turns bytes into verbs, and does nothing else."""
