"""Teamrun in functions of a cloud."""
