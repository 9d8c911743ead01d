"""Text that UTF-8 cannot encode does not fail a call of a model, in either direction."""

import json
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import examples
from tests.support.foreign import halves

from teamrun.agents import AssistantAgent
from teamrun.messages.llm import CreateResult, UserMessage
from teamrun.messages.recordable import encodable
from teamrun.models import OpenAIChatCompletionClient

TEXT = st.text(st.characters())  # surrogates included


class Server:
    """Answers each request with the same text, and keeps the requests."""

    def __init__(self, text: str, *, calls: bool = False) -> None:
        self.text = text
        self.calls = calls
        self.asked: list[dict[str, Any]] = []

    def client(self) -> OpenAIChatCompletionClient:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        return OpenAIChatCompletionClient(
            model="gpt-4o", api_key="k", base_url="http://127.0.0.1:1/v1", http_client=http
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        asked = json.loads(request.content)
        self.asked.append(asked)
        if asked.get("stream"):
            kind, content = "text/event-stream", self._stream()
        else:
            kind, content = "application/json", self._whole()
        return httpx2.Response(200, headers={"content-type": kind}, content=content)

    def _whole(self) -> bytes:
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.calls and len(self.asked) == 1:
            function = {"name": "use", "arguments": json.dumps({"path": self.text})}
            message["tool_calls"] = [{"id": "1", "type": "function", "function": function}]
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return self._object("chat.completion", choice)

    def _stream(self) -> bytes:
        deltas = [{"content": piece} for piece in halves(self.text)]
        choices: list[dict[str, Any]] = [
            {"index": 0, "delta": delta, "finish_reason": None} for delta in deltas
        ]
        choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
        chunks = [self._object("chat.completion.chunk", choice) for choice in choices]
        return b"".join(b"data: %s\n\n" % chunk for chunk in [*chunks, b"[DONE]"])

    def _object(self, kind: str, choice: dict[str, Any]) -> bytes:
        # Escapes keep a lone surrogate, so the answer is valid UTF-8 on the wire.
        whole = {"id": "x", "object": kind, "created": 1, "model": "m", "choices": [choice]}
        return json.dumps(whole).encode()


@pytest.mark.parametrize("streamed", [False, True])
@given(text=TEXT)
@examples(50)
async def test_every_text_goes_to_a_model_and_back(text: str, streamed: bool) -> None:
    server = Server(text)
    asked = [UserMessage(content=f"?{text}", source="user")]
    client = server.client()
    if streamed:
        items = [item async for item in client.create_stream(asked)]
        *pieces, result = items
        assert "".join(map(str, pieces)) == encodable(text)
    else:
        result = await client.create(asked)
    assert isinstance(result, CreateResult)
    assert result.content == encodable(text)
    [request] = server.asked
    assert request["messages"][0]["content"] == encodable(f"?{text}")
    await client.close()


@pytest.mark.parametrize("text", ["half \ud83d", "\udcff", "\ud83d\ude00"], ids=ascii)
async def test_an_agent_without_a_run_passes_such_text_through_its_tools(text: str) -> None:
    server = Server(text, calls=True)
    paths: list[str] = []

    async def use(path: str) -> str:
        """Use a path."""
        paths.append(path)
        if len(text) == 1:
            raise ValueError(text)
        return f"found {text}"

    client = server.client()
    agent = AssistantAgent("a", client, tools=[use], reflect_on_tool_use=True)
    result = await agent.run(task=f"open {text}")
    assert paths == [encodable(text)]
    message = result.messages[-1]
    assert message.to_text() == encodable(text)
    assert len(server.asked) == 2
    await client.close()
