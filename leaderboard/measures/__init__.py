"""What is measured on models that have been trained, or without any: the leak, and pre-ranking itself."""
