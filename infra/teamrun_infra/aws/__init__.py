"""Teamrun on AWS Lambda: the handlers of its functions."""

import gc

__all__ = ()

# Higher than the number of objects that a start makes (78,000): the collector would look through
# all of them. `Instance` leaves them out of the collections after that.
gc.set_threshold(100_000, 20, 100)
