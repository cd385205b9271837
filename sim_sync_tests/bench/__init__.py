"""`make bench`: the figures of the design that exist so far, measured on this machine and set beside their goals.

Not tests: machines differ and are noisy. What can be told as a ratio within one run is told as one.
"""
