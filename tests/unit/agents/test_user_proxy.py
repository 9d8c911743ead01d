"""A person in the conversation."""

import asyncio
import threading
from typing import Any

import pytest

from teamrun.agents import UserProxyAgent
from teamrun.core import CancellationToken, ChatAgent
from teamrun.messages import HandoffMessage, TextMessage

HELLO = TextMessage(content="hello", source="ada")
OVER = HandoffMessage(content="what now?", source="ada", target="me")


async def turn(agent: UserProxyAgent, *messages: Any, token: Any = None) -> list[Any]:
    return [item async for item in agent.on_messages_stream(messages, token)]


@pytest.mark.behaviour("user_proxy.ask", "user_proxy.event")
async def test_the_person_is_asked_and_answers() -> None:
    prompts: list[str] = []

    async def answer(prompt: str) -> str:
        prompts.append(prompt)
        return "fine"

    request, response = await turn(UserProxyAgent("me", input_func=answer), HELLO)

    assert (type(request).__name__, request.source) == ("UserInputRequestedEvent", "me")
    assert isinstance(response.chat_message, TextMessage)
    assert (response.chat_message.content, response.chat_message.source) == ("fine", "me")
    assert response.inner_messages == [request]
    assert prompts == ["Enter your response: "]


@pytest.mark.behaviour("user_proxy.handoff")
async def test_the_target_of_a_handoff_hands_back() -> None:
    async def answer(prompt: str) -> str:
        return prompt

    message = (await turn(UserProxyAgent("me", input_func=answer), HELLO, OVER))[-1]

    assert isinstance(message.chat_message, HandoffMessage)
    assert message.chat_message.target == "ada"
    assert message.chat_message.content == "Handoff received from ada. Enter your response: "


@pytest.mark.behaviour("user_proxy.handoff")
async def test_a_handoff_to_another_participant_is_an_error() -> None:
    with pytest.raises(RuntimeError):
        await turn(UserProxyAgent("you"), OVER)


@pytest.mark.behaviour("user_proxy.ask")
async def test_a_function_that_is_not_async_is_asked_in_a_thread() -> None:
    def answer(prompt: str) -> str:
        return str(threading.current_thread() is threading.main_thread())

    agent = UserProxyAgent("me", input_func=answer)

    assert str(await agent.on_messages([HELLO])) == "False"


@pytest.mark.behaviour("user_proxy.ask")
async def test_an_async_function_may_take_the_token() -> None:
    given: list[Any] = []

    async def answer(prompt: str, token: CancellationToken | None) -> str:
        given.append(token)
        return ""

    token = CancellationToken()
    await turn(UserProxyAgent("me", input_func=answer), token=token)

    assert given == [token]


@pytest.mark.behaviour("user_proxy.request_id")
async def test_a_function_knows_which_request_it_answers() -> None:
    def answer(prompt: str) -> str:
        return UserProxyAgent.InputRequestContext.request_id()

    request, response = await turn(UserProxyAgent("me", input_func=answer))

    assert response.chat_message.content == request.request_id
    with pytest.raises(RuntimeError):
        UserProxyAgent.InputRequestContext.request_id()


@pytest.mark.behaviour("user_proxy.error")
async def test_a_failing_function_is_an_error_that_keeps_its_cause() -> None:
    async def answer(prompt: str) -> str:
        raise EOFError("closed")

    with pytest.raises(RuntimeError) as caught:
        await turn(UserProxyAgent("me", input_func=answer))

    assert str(caught.value) == "Failed to get user input: closed"
    assert isinstance(caught.value.__cause__, EOFError)


async def test_a_cancel_ends_the_waiting_for_a_person() -> None:
    asked = asyncio.Event()

    async def answer(prompt: str) -> str:
        asked.set()
        await asyncio.Event().wait()
        return "never"

    token = CancellationToken()
    agent: ChatAgent = UserProxyAgent("me", input_func=answer)
    task = asyncio.create_task(agent.run("hello", cancellation_token=token))
    await asked.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_person_is_described_as_one() -> None:
    agent = UserProxyAgent("me")

    assert agent.description == "A human user"
    assert agent.produced_message_types == (TextMessage, HandoffMessage)
    await agent.on_reset()
