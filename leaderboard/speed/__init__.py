"""What training and serving cost, as the scripts in `benchmarks/` measured it."""
