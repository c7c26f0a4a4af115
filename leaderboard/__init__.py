"""Many runs, and what they say together: the insides of `benchmark.py`."""
