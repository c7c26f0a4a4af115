"""Result files -> tables, sentences and pictures. Reads `results/` and trains nothing."""
