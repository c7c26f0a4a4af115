"""Many runs, and what they say together: the insides of `benchmark.py`.

Here: which runs there are and who runs them. `measures`: what else is measured. `report`: tables, sentences, pictures.
"""
