"""The entry point of the function app: Azure Functions looks for `app` in a file of this name."""

import os

from teamrun_infra.azure.function_app import make_function_app

app = make_function_app(os.environ)
