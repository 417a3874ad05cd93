"""Parts of the program `experiments/draw.py`."""
