"""Who gets which version."""
