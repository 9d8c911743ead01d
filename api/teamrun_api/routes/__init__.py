"""The routes, by resource; each function is one service call and one answer."""
