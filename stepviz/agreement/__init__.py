"""How far two judges of steps agree: people, data sets, scorers, rollouts, the exact truth."""
