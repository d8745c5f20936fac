"""What to do: findings about each guardrail, and the verdict that follows from them. Nothing here moves anything."""
