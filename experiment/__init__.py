"""What the training scripts share: the command line, and how a run starts and ends. Knows everything below it."""

import foundation  # noqa: F401 (before torch)
from experiment.start import stoppable_from_the_start

stoppable_from_the_start()  # before anything slow is imported
