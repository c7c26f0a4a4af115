"""How much of a distance to a paper is the way of training."""
