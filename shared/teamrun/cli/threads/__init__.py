"""`teamrun threads`: conversations that runs continue."""
