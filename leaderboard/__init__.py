"""Many runs, and what they say together: the insides of `benchmark.py`.

Here: which runs there are, who runs them, their results and the pages that show these. A package each has a question:
`grid` (which model is best), `ladder` (what a paper's number is made of), `ablations`, `tuning`, `audit` (what the leak
is worth), `choosing` (how well validation rows choose), `stages` (what a pre-ranker lets through), `speed`. `drawings`:
how the two models work. `differences`: what public releases do otherwise.
"""

from training.pictures import import_matplotlib

import_matplotlib()  # before a module of this package does, which would fail with some backends in the environment
