"""The SDK of OpenAI, from a fresh process to a client."""

from openai import AsyncOpenAI

client = AsyncOpenAI(api_key="none")
