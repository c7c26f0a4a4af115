"""What pre-ranking is for: how much of a ranking model's best each model lets through."""
