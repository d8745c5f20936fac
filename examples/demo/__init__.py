"""Three rollouts on real traffic: ``python -m examples.demo`` from the root of the checkout."""
