"""Teamrun on AWS Lambda: the handlers of its functions."""
