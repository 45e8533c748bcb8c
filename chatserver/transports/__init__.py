"""Floor 3: one module for each way in. A transport knows readers and frames, never the store."""
