"""How IntTower and HIT work, drawn."""
