"""A transparency log as values: the RFC 6962 tree, its proofs, and the C2SP forms of notes, checkpoints and tiles."""
