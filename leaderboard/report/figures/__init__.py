"""Results -> pictures: `pictures.py` names all of them, `theme.py` draws each on light and on dark."""
