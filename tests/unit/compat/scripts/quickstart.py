"""An agent with a tool, streamed to the terminal."""

import asyncio
import os

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.ui import Console
from autogen_ext.models.openai import OpenAIChatCompletionClient

model_client = OpenAIChatCompletionClient(
    model="gpt-4o", api_key="key", base_url=os.environ["MODEL_URL"]
)


async def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"It is 21 degrees in {city}."


async def main() -> None:
    agent = AssistantAgent(
        name="weather_agent",
        model_client=model_client,
        tools=[get_weather],
        system_message="You help with the weather.",
        reflect_on_tool_use=True,
        model_client_stream=True,
    )
    await Console(agent.run_stream(task="What is the weather in Oslo?"), output_stats=False)
    await model_client.close()


asyncio.run(main())
