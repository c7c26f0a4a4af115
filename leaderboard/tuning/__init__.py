"""How the defaults of each model were chosen: six trials by validation AUC."""
