"""The product killed at named places and at random, with a witness outside that writes down whatever reached it.

`make chaos` (`python -m tests.chaos`) kills it a thousand times and writes docs/chaos.md; a few kills are in the suite.
"""
