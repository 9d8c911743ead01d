"""Models on a server of Ollama, called by its own API (`/api/chat`), without an SDK.

`client.py` is the client. `request.py` and `messages.py` write requests, `response.py` reads
answers, `calls.py` sends and receives, `host.py` finds the server.
"""
