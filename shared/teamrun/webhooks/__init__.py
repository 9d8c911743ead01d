"""Signed webhooks: events of a log are delivered to the URLs that subscribe to them."""
