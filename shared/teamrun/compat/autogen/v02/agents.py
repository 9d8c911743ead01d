"""The agents of AutoGen 0.2: synchronous, each with a conversation for every other agent."""

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from teamrun.compat.autogen.v02.calls import (
    Message,
    answer,
    called,
    check_execution,
    conversation,
    executed,
)
from teamrun.compat.autogen.v02.configs import Config, clients_of, refuse, unsupported
from teamrun.compat.autogen.v02.texts import (
    DESCRIPTION,
    ELSEWHERE,
    INSTRUCTIONS,
    PROXIES,
    HumanInputMode,
)
from teamrun.errors import UsageError
from teamrun.messages import RequestUsage
from teamrun.tools.function import FunctionTool
from teamrun.tools.schema import ToolSchema

__all__ = [
    "AssistantAgent",
    "ChatResult",
    "ConversableAgent",
    "HumanInputMode",
    "UserProxyAgent",
    "register_function",
]

FirstMessage = Callable[
    ["ConversableAgent", "ConversableAgent", dict[str, Any]], "str | dict[str, Any]"
]
"""Returns the first message of a chat; it gets the sender, the recipient and the context."""


@dataclass
class ChatResult:
    """What `initiate_chat` returns."""

    chat_history: list[Message]
    """The messages, from the side of the agent that began."""
    summary: str = ""
    """The text of the last message, without `TERMINATE`."""
    cost: dict[str, Any] = field(default_factory=dict[str, Any])
    """`prompt_tokens` and `completion_tokens` of both agents."""
    human_input: list[str] = field(default_factory=list[str])
    """What persons have typed."""


class ConversableAgent:
    """An agent that answers messages: with a person's words, a function, a model, or a fixed text.

    Args:
        name: The name that the others see.
        system_message: Instructions for the model.
        is_termination_msg: Whether a message ends the conversation; by default its content is
            `TERMINATE`.
        max_consecutive_auto_reply: How many answers without a person; by default 100.
        human_input_mode: `ALWAYS` asks a person before each answer, `TERMINATE` at the end,
            `NEVER` never.
        function_map: Functions that this agent executes, by name.
        code_execution_config: False: code in messages is text. `use_docker=False`, with `work_dir`
            and `timeout`, executes it on this machine; `executor` is one of `teamrun.code`. Without
            either, AutoGen would use Docker, which is an error; of the default, when a message has
            code.
        llm_config: The models, see `clients_of`; None or False: none.
        default_auto_reply: The answer if nothing else gives one.
        description: The agent's purpose, for the choice of speakers; by default `system_message`.
        functions: Functions that the model of this agent may call; the other agent, or this one,
            executes them.
        others: Arguments of 0.2 that are not supported.

    Raises:
        UsageError: An option of the models is invalid, code would be executed in Docker, or an
            argument is not supported; the message names the page.
    """

    def __init__(
        self,
        name: str,
        system_message: str | None = "You are a helpful AI Assistant.",
        is_termination_msg: Callable[[Message], bool] | None = None,
        max_consecutive_auto_reply: int | None = None,
        human_input_mode: HumanInputMode = "TERMINATE",
        function_map: Mapping[str, Callable[..., Any]] | None = None,
        code_execution_config: Config | Literal[False] | None = False,
        llm_config: Config | Literal[False] | None = None,
        default_auto_reply: str | Message = "",
        description: str | None = None,
        *,
        functions: Sequence[Callable[..., Any]] = (),
        **others: Any,
    ) -> None:
        refuse(type(self).__name__, others)
        self._name = name
        self._system_message = system_message or ""
        self.description = system_message or "" if description is None else description
        self.human_input_mode = human_input_mode
        # A copy, as in 0.2: the functions of `register_for_llm` are added.
        self.llm_config: Config | Literal[False] = dict(llm_config) if llm_config else False
        self.client_list = clients_of(llm_config) if llm_config else []
        self.chat_messages: defaultdict[ConversableAgent, list[Message]] = defaultdict(list)
        self.usage = RequestUsage(0, 0)
        """The tokens of all model calls."""
        self.human_input: list[str] = []
        self._ends = is_termination_msg or _says_terminate
        limit = max_consecutive_auto_reply
        self._max_replies = 100 if limit is None else limit
        self._replies: defaultdict[ConversableAgent, int] = defaultdict(int)
        self._function_map = dict(function_map or {})
        # A copy: the executor that is created for it is added.
        config = code_execution_config
        if config:  # the empty one is the default of 0.2, also of proxies that meet no code
            check_execution(config)
        self._code_config = dict(config) if isinstance(config, dict) else None
        self._default_reply = default_auto_reply
        self._tools: list[ToolSchema] = _given_tools(llm_config or {})
        for function in functions:
            self.register_for_llm()(function)
            self.register_for_execution()(function)

    if not TYPE_CHECKING:  # which would take every attribute

        def __getattr__(self, name: str) -> Any:
            if name in ELSEWHERE:
                raise unsupported(f"{type(self).__name__}.{name}")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def name(self) -> str:
        """The name that the others see."""
        return self._name

    @property
    def system_message(self) -> str:
        """Instructions for the model."""
        return self._system_message

    @property
    def function_map(self) -> dict[str, Callable[..., Any]]:
        """The functions that this agent executes."""
        return self._function_map

    def update_system_message(self, system_message: str) -> None:
        """Replace the instructions for the model."""
        self._system_message = system_message

    def last_message(self, agent: "ConversableAgent | None" = None) -> Message | None:
        """The last message of the conversation with an agent, or of the only conversation.

        Raises:
            UsageError: There are several conversations.
        """
        if agent is None and len(self.chat_messages) > 1:
            raise UsageError("There are several conversations; pass the other agent.")
        agent = agent or next(iter(self.chat_messages), None)
        messages = [] if agent is None else self.chat_messages.get(agent, [])
        return messages[-1] if messages else None

    def register_function(self, function_map: Mapping[str, Callable[..., Any] | None]) -> None:
        """Add functions that this agent executes; None removes one."""
        for name, function in function_map.items():
            if function is None:
                self._function_map.pop(name, None)
            else:
                self._function_map[name] = function

    def register_for_llm(
        self, *, name: str | None = None, description: str | None = None
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """A decorator: the model of this agent may call the function, whose annotations it sees."""

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            text = description or function.__doc__ or function.__name__
            tool = FunctionTool(function, text, name=name)
            self._tools = [each for each in self._tools if each["name"] != tool.name]
            self._tools.append(tool.schema)
            if self.llm_config:
                own = {key: value for key, value in tool.schema.items() if key != "strict"}
                others = [
                    each
                    for each in self.llm_config.get("tools") or ()
                    if each["function"]["name"] != tool.name
                ]
                self.llm_config["tools"] = [*others, {"type": "function", "function": own}]
            return function

        return decorate

    def register_for_execution(
        self, name: str | None = None
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """A decorator: this agent executes the function."""

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            self._function_map[name or function.__name__] = function
            return function

        return decorate

    def initiate_chat(
        self,
        recipient: "ConversableAgent",
        clear_history: bool = True,
        silent: bool = False,
        cache: None = None,
        max_turns: int | None = None,
        summary_method: Literal["last_msg"] | None = "last_msg",
        *,
        message: str | Message | FirstMessage | None = None,
        **context: Any,
    ) -> ChatResult:
        """Send the first message, and let both agents answer until one has nothing to say.

        Args:
            recipient: The other agent.
            clear_history: Forget what both have said to each other before.
            silent: Do not print the messages.
            cache: Not supported.
            max_turns: How many messages each agent sends at most.
            summary_method: The last message is the summary.
            message: The first message, or a function of both agents and `context` that returns it;
                by default a person is asked.
            context: Other fields of the message.

        Raises:
            UsageError: An argument is not supported; the message names the page.
        """
        if summary_method not in {None, "last_msg"}:
            raise unsupported(f"summary_method={summary_method!r}")
        given = {name: context.pop(name, None) for name in ("carryover", "summary_args")}
        for name, value in {"cache": cache, **given}.items():
            if value:
                raise unsupported(f"initiate_chat({name}=...)")
        both = (self, recipient)
        if clear_history:
            for one, other in (both, both[::-1]):
                one.clear_history(other)
                one._replies[other] = 0
        before = [(each.usage, len(each.human_input)) for each in both]
        if message is None:
            message = self.get_human_input(f"Provide a message for {recipient.name}: ")
        if callable(message):
            first = _as_message(message(self, recipient, context))
        else:
            first = _as_message(message) | context
        self._converse(
            first, recipient, max_messages=2 * max_turns if max_turns else None, silent=silent
        )
        last = self.last_message(recipient) or {}
        return ChatResult(
            chat_history=list(self.chat_messages[recipient]),
            summary=(last.get("content") or "").replace("TERMINATE", "") if summary_method else "",
            cost={
                name: sum(
                    getattr(each.usage, name) - getattr(start, name)
                    for each, (start, _) in zip(both, before, strict=True)
                )
                for name in ("prompt_tokens", "completion_tokens")
            },
            human_input=[
                text
                for each, (_, start) in zip(both, before, strict=True)
                for text in each.human_input[start:]
            ],
        )

    def send(
        self,
        message: str | Message,
        recipient: "ConversableAgent",
        request_reply: bool | None = None,
        silent: bool = False,
    ) -> None:
        """Send a message; the recipient answers, and so on, unless `request_reply` is False."""
        self._converse(message, recipient, 1 if request_reply is False else None, silent=silent)

    def receive(
        self,
        message: str | Message,
        sender: "ConversableAgent",
        request_reply: bool | None = None,
        silent: bool = False,
    ) -> None:
        """Take a message, and answer it unless `request_reply` is False."""
        heard = _as_message(message)
        if heard.get("role") != "tool":
            heard["role"] = "user"
        self.chat_messages[sender].append(heard)
        if not silent:
            self._show(heard, sender)
        if request_reply is not False:
            reply = self.generate_reply(sender=sender)
            if reply is not None:
                self.send(reply, sender, silent=silent)

    def generate_reply(
        self,
        messages: Sequence[Message] | None = None,
        sender: "ConversableAgent | None" = None,
        exclude: Sequence[Any] = (),
    ) -> str | Message | None:
        """The answer to the last message; None ends the conversation.

        Args:
            messages: The conversation; by default the one with `sender`.
            sender: The other agent.
            exclude: Not supported.

        Raises:
            UsageError: The message contains code that AutoGen would execute.
        """
        if exclude:
            raise unsupported("generate_reply(exclude=...)")
        if messages is None:
            messages = self.chat_messages[sender] if sender is not None else []
        if not messages:
            return self._default_reply
        message = messages[-1]
        if sender is not None:
            is_over, reply = self._human_reply(message, sender)
            if is_over:
                return reply
        if message.get("tool_calls"):
            return self._call_functions(message, sender)
        text = message.get("content") or ""
        if self._code_config is not None and message.get("role") != "tool":
            output = executed(text, self._code_config)
            if output is not None:
                return output
        if self.client_list:
            return self._model_reply(messages, sender)
        return self._default_reply

    def get_human_input(self, prompt: str) -> str:
        """Ask the person at the terminal; override it to ask elsewhere."""
        reply = input(prompt)
        self.human_input.append(reply)
        return reply

    def clear_history(self, recipient: "ConversableAgent | None" = None) -> None:
        """Forget the conversation with an agent; by default all of them."""
        if recipient is None:
            self.chat_messages.clear()
        else:
            self.chat_messages[recipient] = []

    def reset(self) -> None:
        """Forget all conversations and counts."""
        self.clear_history()
        self._replies.clear()

    def _converse(
        self,
        message: str | Message | None,
        recipient: "ConversableAgent",
        max_messages: int | None,
        *,
        silent: bool,
    ) -> None:
        speaker, listener, count = self, recipient, 0
        while message is not None:
            sent = _as_message(message)
            said = dict(sent)
            if said.get("role") != "tool":
                said["role"] = "assistant"
                sent.setdefault("name", speaker.name)
                said.setdefault("name", speaker.name)
            speaker.chat_messages[listener].append(said)
            listener.receive(sent, speaker, request_reply=False, silent=silent)
            count += 1
            if max_messages is not None and count >= max_messages:
                return
            message = listener.generate_reply(sender=speaker)
            speaker, listener = listener, speaker

    def _human_reply(
        self, message: Message, sender: "ConversableAgent"
    ) -> tuple[bool, str | Message | None]:
        """Whether a person or the end decides the answer, and the answer."""
        ends = self._ends(message)
        mode, reply = self.human_input_mode, ""
        is_at_limit = self._replies[sender] >= self._max_replies
        if mode == "ALWAYS":
            reply = self.get_human_input(
                f"Replying as {self.name}. Provide feedback to {sender.name}. Press enter to skip "
                "and use auto-reply, or type 'exit' to end the conversation: "
            )
        elif mode == "TERMINATE" and (ends or is_at_limit):
            reply = self.get_human_input(
                f"Please give feedback to {sender.name}. Press enter "
                f"{'' if ends else 'to skip and use auto-reply, '}or type 'exit' to stop the "
                "conversation: "
            )
        elif ends or is_at_limit:
            reply = "exit"
        if reply == "exit" or (ends and not reply):
            self._replies[sender] = 0
            return True, None
        if reply or self._max_replies == 0:
            self._replies[sender] = 0
            return True, _interrupting(message, reply)
        self._replies[sender] += 1
        return False, None

    def _call_functions(self, message: Message, sender: "ConversableAgent | None") -> Message:
        others = {} if sender is None else sender.function_map
        results: list[Message] = []
        for call in message["tool_calls"]:
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            function = self._function_map.get(name) or others.get(name)
            text = called(function, name, arguments)
            results.append({"tool_call_id": call["id"], "role": "tool", "content": text})
        return _tool_message(results)

    def _model_reply(
        self, messages: Sequence[Message], sender: "ConversableAgent | None"
    ) -> str | Message:
        other = "user" if sender is None else sender.name
        result = answer(
            self.client_list,
            conversation(messages, me=self.name, other=other, system_message=self._system_message),
            self._tools,
        )
        self.usage = RequestUsage(
            self.usage.prompt_tokens + result.usage.prompt_tokens,
            self.usage.completion_tokens + result.usage.completion_tokens,
        )
        if isinstance(result.content, str):
            return result.content
        return {
            "content": result.thought or "",
            "role": "assistant",
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in result.content
            ],
        }

    def _show(self, message: Message, sender: "ConversableAgent") -> None:
        lines = [f"{message.get('name') or sender.name} (to {self.name}):", ""]
        for call in message.get("tool_calls") or ():
            function = call["function"]
            lines.append(f"***** Suggested tool call: {function['name']} *****")
            lines.append(f"Arguments: {function['arguments']}")
        if message.get("content"):
            lines.append(message["content"])
        sys.stdout.write("\n".join([*lines, "", "-" * 80, ""]))


class AssistantAgent(ConversableAgent):
    """An agent that answers with its model and asks no person; arguments of `ConversableAgent`."""

    DEFAULT_SYSTEM_MESSAGE: Final = INSTRUCTIONS
    DEFAULT_DESCRIPTION: Final = DESCRIPTION

    def __init__(
        self,
        name: str,
        system_message: str | None = DEFAULT_SYSTEM_MESSAGE,
        llm_config: Config | Literal[False] | None = None,
        is_termination_msg: Callable[[Message], bool] | None = None,
        max_consecutive_auto_reply: int | None = None,
        human_input_mode: HumanInputMode = "NEVER",
        description: str | None = None,
        **options: Any,
    ) -> None:
        if description is None and system_message == self.DEFAULT_SYSTEM_MESSAGE:
            description = self.DEFAULT_DESCRIPTION
        super().__init__(
            name,
            system_message,
            is_termination_msg,
            max_consecutive_auto_reply,
            human_input_mode,
            llm_config=llm_config,
            description=description,
            **options,
        )


_AUTOGENS_DEFAULT: Final[Config] = {}


class UserProxyAgent(ConversableAgent):
    """An agent that stands for a person and executes functions; arguments of `ConversableAgent`."""

    def __init__(
        self,
        name: str,
        is_termination_msg: Callable[[Message], bool] | None = None,
        max_consecutive_auto_reply: int | None = None,
        human_input_mode: HumanInputMode = "ALWAYS",
        function_map: Mapping[str, Callable[..., Any]] | None = None,
        code_execution_config: Config | Literal[False] = _AUTOGENS_DEFAULT,
        default_auto_reply: str | Message = "",
        llm_config: Config | Literal[False] | None = False,
        system_message: str | None = "",
        description: str | None = None,
        **options: Any,
    ) -> None:
        if description is None:
            description = PROXIES[human_input_mode]
        super().__init__(
            name,
            system_message,
            is_termination_msg,
            max_consecutive_auto_reply,
            human_input_mode,
            function_map,
            code_execution_config,
            llm_config,
            default_auto_reply,
            description,
            **options,
        )


def register_function(
    f: Callable[..., Any],
    *,
    caller: ConversableAgent,
    executor: ConversableAgent,
    name: str | None = None,
    description: str,
) -> None:
    """Let the model of one agent call a function that another agent executes.

    Args:
        f: The function; each parameter has an annotation.
        caller: The agent with the model.
        executor: The agent that executes it.
        name: By default that of the function.
        description: What the model reads.
    """
    caller.register_for_llm(name=name, description=description)(f)
    executor.register_for_execution(name)(f)


def _says_terminate(message: Message) -> bool:
    return message.get("content") == "TERMINATE"


def _as_message(message: str | Message) -> Message:
    return {"content": message} if isinstance(message, str) else dict(message)


def _interrupting(message: Message, reply: str) -> Message:
    """A person's answer; calls that it leaves open are answered, too, as providers require."""
    calls = message.get("tool_calls") or ()
    if not calls:
        return {"content": reply, "role": "user"}
    text = f"USER INTERRUPTED: {reply}"
    return _tool_message(
        [{"tool_call_id": call["id"], "role": "tool", "content": text} for call in calls]
    )


def _tool_message(results: list[Message]) -> Message:
    return {
        "role": "tool",
        "tool_responses": results,
        "content": "\n\n".join(each["content"] for each in results),
    }


def _given_tools(llm_config: Config) -> list[ToolSchema]:
    listed = [each["function"] for each in llm_config.get("tools") or ()]
    return [*(llm_config.get("functions") or ()), *listed]
