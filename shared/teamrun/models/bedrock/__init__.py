"""Amazon Bedrock's models, called by Converse and ConverseStream through boto3.

`client.py` is the client. `request.py` and `messages.py` write requests, `response.py` reads
answers, `calls.py` and `connection.py` send and receive in threads, `errors.py` maps what fails.
"""
