"""Conversations as Converse accepts them."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from tests.support.converse_rules import faults_of

from teamrun.errors import UsageError
from teamrun.messages.image import Image
from teamrun.messages.llm import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ProviderData,
    SystemMessage,
    UserMessage,
)
from teamrun.models.bedrock.messages import MessageWriter
from teamrun.models.bedrock.traits import OPAQUE, model_info_of, traits_of

CLAUDE = "anthropic.claude-sonnet-4-20250514-v1:0"
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"
R1 = "deepseek.v3-v1:0"
PNG = Image.from_bytes(b"\x89PNG\r\n\x1a\n" + b"x")
TOOL = {"tools": [{"toolSpec": {"name": "add", "inputSchema": {"json": {"type": "object"}}}}]}


def said(text: str | list[str | Image], source: str = "user") -> UserMessage:
    return UserMessage(content=text, source=source)


def answered(text: str) -> AssistantMessage:
    return AssistantMessage(content=text, source="helper")


def called(
    arguments: str = '{"a": 1}', call_id: str = "c1", name: str = "add", **rest: Any
) -> AssistantMessage:
    call = FunctionCall(id=call_id, arguments=arguments, name=name)
    return AssistantMessage(content=[call], source="helper", **rest)


def resulted(
    text: str = "1", call_id: str = "c1", *, is_error: bool = False
) -> FunctionExecutionResultMessage:
    result = FunctionExecutionResult(content=text, name="add", call_id=call_id, is_error=is_error)
    return FunctionExecutionResultMessage(content=[result])


def writer(model: str = CLAUDE, **options: Any) -> MessageWriter:
    return MessageWriter(
        model=model,
        info=model_info_of(model),
        traits=traits_of(model) or OPAQUE,
        provider="bedrock-claude",
        **options,
    )


def written(*messages: LLMMessage, model: str = CLAUDE, **options: Any) -> list[dict[str, Any]]:
    out = writer(model, **options).write(messages)
    body: dict[str, Any] = {"messages": out.messages}
    if "toolUse" in str(out.messages):
        body["toolConfig"] = TOOL
    if not any("image" in block for message in out.messages for block in message["content"]):
        assert faults_of(model, body, streamed=False) == []
    return out.messages


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def model(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    return {"text": words}


def use(arguments: Any, call_id: str = "c1") -> dict[str, Any]:
    return {"toolUse": {"toolUseId": call_id, "name": "add", "input": arguments}}


def result(words: str, call_id: str = "c1", **rest: Any) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": call_id, "content": [text(words)], **rest}}


CASES: list[tuple[str, Sequence[LLMMessage], list[dict[str, Any]]]] = [
    ("a question", [said("Hi")], [user(text("Hi"))]),
    ("nothing", [], [user(text("Continue."))]),
    ("blank texts", [said(" \n"), answered("")], [user(text("(empty)")), model(text("(empty)"))]),
    (
        "the model begins",
        [answered("Hello."), said("Hi")],
        [user(text("Continue.")), model(text("Hello.")), user(text("Hi"))],
    ),
    (
        "the model had the last word",
        [said("Hi"), answered("Hello."), answered("There.")],
        [user(text("Hi")), model(text("Hello."), text("There.")), user(text("Continue."))],
    ),
    (
        "several sources are named",
        [said("One.", "ann"), said("Two.", "bob"), answered("So."), said("Three.", "ann")],
        [
            user(text("ann said:\nOne."), text("bob said:\nTwo.")),
            model(text("So.")),
            user(text("ann said:\nThree.")),
        ],
    ),
    (
        "parallel calls have their results together",
        [
            said("Go"),
            AssistantMessage(
                content=[
                    FunctionCall(id="c1", arguments='{"a": 1}', name="add"),
                    FunctionCall(id="c2", arguments="", name="add"),
                ],
                source="helper",
                thought="I add.",
            ),
            resulted("1"),
            resulted("", "c2", is_error=True),
            said("And?"),
        ],
        [
            user(text("Go")),
            model(text("I add."), use({"a": 1}), use({}, "c2")),
            user(result("1"), result("(empty)", "c2", status="error"), text("And?")),
        ],
    ),
    (
        "half a surrogate pair",
        [said("half \ud83d"), called('{"a": "half \\ud83d"}'), resulted("\ud83d")],
        [user(text("half \ufffd")), model(use({"a": "half \ufffd"})), user(result("\ufffd"))],
    ),
]


@pytest.mark.parametrize(
    ("messages", "right"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_messages_alternate_and_none_is_blank(
    messages: Sequence[LLMMessage], right: list[dict[str, Any]]
) -> None:
    if right[-1]["role"] == "assistant":
        right = [*right, user(text("Continue."))]
    assert written(*messages) == right


def test_system_prompts_are_apart_and_blank_ones_are_left_out() -> None:
    out = writer().write([SystemMessage(content="A"), said("Hi"), SystemMessage(content=" ")])
    assert out.system == [text("A")]
    assert out.messages == [user(text("Hi"))]


def test_results_and_text_are_apart_for_models_that_do_not_take_them_together() -> None:
    messages = [said("Go"), called(), resulted(is_error=True), said("And?")]
    assert written(*messages, model=LLAMA) == [
        user(text("Go")),
        model(use({"a": 1})),
        user(result("1")),
        model(text("Done.")),
        user(text("And?")),
    ]


@pytest.mark.parametrize(
    ("prefixes", "sent"), [(True, "ann said:\nHi"), (False, "Hi"), (None, "Hi")]
)
def test_names_of_sources_are_sent_if_that_is_wanted(prefixes: bool | None, sent: str) -> None:
    assert written(said("Hi", "ann"), add_name_prefixes=prefixes) == [user(text(sent))]


def test_arguments_that_are_no_object_are_sent_as_an_empty_one_with_the_reason() -> None:
    _, call, outcome = written(said("Go"), called('{"a": '), resulted("Error: bad"))
    assert call == model(use({}))
    sent = outcome["content"][0]["toolResult"]["content"][0]["text"]
    assert sent.startswith("Error: bad\n") and 'You wrote: {"a": ' in sent


@pytest.mark.parametrize("call_id", ["call|fc_1", "x" * 65, "ü", ""])
def test_ids_of_other_providers_are_replaced_alike_in_call_and_result(call_id: str) -> None:
    _, call, outcome = written(said("Go"), called(call_id=call_id), resulted(call_id=call_id))
    sent = call["content"][0]["toolUse"]["toolUseId"]
    assert re.fullmatch(r"[a-zA-Z0-9_.:-]{1,64}", sent)
    assert outcome["content"][0]["toolResult"]["toolUseId"] == sent


def test_images_are_sent_as_bytes_with_their_format() -> None:
    image = {"image": {"format": "png", "source": {"bytes": PNG.data}}}
    assert written(said(["What?", PNG, " "])) == [user(text("What?"), image)]


@pytest.mark.parametrize(
    ("image", "name", "words"),
    [
        (PNG, "amazon.nova-micro-v1:0", "does not accept images"),
        (Image(data=b"x", media_type="image/tiff"), CLAUDE, "image/tiff"),
    ],
)
def test_an_image_that_the_model_does_not_take_is_an_error(
    image: Image, name: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        writer(name).write([said([image])])


def signed(*blocks: dict[str, Any], provider: str = "bedrock-claude") -> ProviderData:
    return ProviderData(provider, {"reasoning": list(blocks)})


def reasoning(words: str, **signature: str) -> dict[str, Any]:
    return {"reasoningContent": {"reasoningText": {"text": words, **signature}}}


HM = {"before": 0, "text": "Hm.", "signature": "c2ln"}


def test_reasoning_goes_back_where_it_was_and_its_text_only_once() -> None:
    more = {"before": 1, "redacted": "AAE="}
    data = signed(HM, more)
    _, sent, _ = written(said("Go"), called(thought="Hm.", provider_data=data), resulted())
    hidden = {"reasoningContent": {"redactedContent": b"\x00\x01"}}
    assert sent == model(reasoning("Hm.", signature="c2ln"), use({"a": 1}), hidden)


def test_text_beside_the_calls_goes_back_after_the_reasoning() -> None:
    data = signed(HM)
    _, sent, _ = written(said("Go"), called(thought="I add.", provider_data=data), resulted())
    assert sent == model(reasoning("Hm.", signature="c2ln"), text("I add."), use({"a": 1}))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (signed(HM, provider="bedrock-nova"), CLAUDE),
        (signed({"before": 0, "text": "Hm."}), CLAUDE),  # without its signature
        (signed(HM), R1),
        (ProviderData("bedrock-claude", {"reasoning": "Hm."}), CLAUDE),
        (
            ProviderData("bedrock-claude", {"reasoning": [1, {"redacted": "!"}, {"text": 5}]}),
            CLAUDE,
        ),
        (None, CLAUDE),
    ],
)
def test_reasoning_that_the_model_does_not_take_back_is_sent_as_text(
    data: ProviderData | None, name: str
) -> None:
    _, sent, _ = written(
        said("Go"), called(thought="Hm.", provider_data=data), resulted(), model=name
    )
    assert sent == model(text("Hm."), use({"a": 1}))


def test_an_attachment_cannot_change_the_message_that_it_comes_with() -> None:
    hostile = ProviderData(
        "bedrock-claude", {"reasoning": [{"toolUse": {}, "before": "x"}], "role": "user"}
    )
    _, sent, _ = written(said("Go"), called(provider_data=hostile), resulted())
    assert sent == model(use({"a": 1}))
