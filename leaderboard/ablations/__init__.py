"""What a part of a model, or one of its settings, is worth."""
