"""Trainers. They read frozen datasets from the store and write ordinary checkpoints."""
