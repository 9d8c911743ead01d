"""Teams that clients register: stored versions, aliases, and what is known about them."""
