"""What the training scripts share: the command line, and how a run starts and ends. Knows everything below it."""
