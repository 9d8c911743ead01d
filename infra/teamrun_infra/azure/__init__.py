"""The functions of a deployment on Azure Functions."""
