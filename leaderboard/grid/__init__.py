"""Which model is best: every model under every protocol with every seed."""
