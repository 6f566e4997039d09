"""The parts of the fake of Microsoft To Do; ../graph.py puts them together."""
