"""The HTTP API of Teamrun: routes, problems, authentication, event streams.

`app.create_app` makes the ASGI application of services that it is given; `compose` makes those
services of settings; `python -m teamrun_api` serves them with uvicorn.
"""
