"""Teamrun on AWS Lambda: the handlers of its functions."""

import gc

__all__ = ()

# As in every process of ours. Here it comes first: the collector would look through all that a
# start imports, again and again.
gc.set_threshold(50_000, 20, 100)
