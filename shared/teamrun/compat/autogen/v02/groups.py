"""The group chat of AutoGen 0.2: a manager lets several agents speak, one after another."""

import random
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal

from teamrun.compat.autogen.v02.agents import (
    ChatResult,
    ConversableAgent,
    HumanInputMode,
)
from teamrun.compat.autogen.v02.calls import Message, answer
from teamrun.compat.autogen.v02.configs import Config, refuse, unsupported
from teamrun.errors import UsageError
from teamrun.messages import UserMessage
from teamrun.teams.selection import DEFAULT_SELECTOR_PROMPT, fill_prompt, mentioned

__all__ = ["GroupChat", "GroupChatManager"]

_ATTEMPTS = 3
Select = Callable[[ConversableAgent, "GroupChat"], "ConversableAgent | str | None"]
Method = Literal["auto", "manual", "random", "round_robin"]
_METHODS = ("auto", "manual", "random", "round_robin")


class GroupChat:
    """Who takes part, and who speaks next.

    Args:
        agents: Who takes part.
        messages: What was said; each message has the `name` of its speaker.
        max_round: Maximum number of messages, with the first one.
        admin_name: Without effect here: there is no automatic hand-over to an administrator.
        func_call_filter: Always true: an agent that has the functions of a call speaks next.
        speaker_selection_method: `auto`: the manager's model chooses. A function takes the last
            speaker and the group chat, and returns an agent, the name of a method, or None to end
            the chat.
        allow_repeat_speaker: Whether an agent may speak twice in a row; by default it may.
        others: Arguments of 0.2 that are not supported.

    Raises:
        UsageError: An argument is invalid, or not supported; the message names the page.
    """

    def __init__(
        self,
        agents: Sequence[ConversableAgent],
        messages: list[Message] | None = None,
        max_round: int = 10,
        admin_name: str = "Admin",
        func_call_filter: bool = True,
        speaker_selection_method: Method | Select = "auto",
        allow_repeat_speaker: bool | None = None,
        **others: Any,
    ) -> None:
        refuse("GroupChat", others)
        if not func_call_filter:
            raise unsupported("GroupChat(func_call_filter=False)")
        self.agents, self.max_round, self.admin_name = agents, max_round, admin_name
        self.messages: list[Message] = [] if messages is None else messages
        self.speaker_selection_method: Method | Select = speaker_selection_method
        self.allow_repeat_speaker = allow_repeat_speaker is not False
        names = [each.name for each in self.agents]
        if not names or len(set(names)) < len(names):
            raise UsageError("A group chat needs agents with unique names.", argument="agents")
        self._checked(self.speaker_selection_method)
        if self.max_round < 1:
            raise UsageError("`max_round` must be at least 1.", argument="max_round")

    @property
    def agent_names(self) -> list[str]:
        """The names of the agents, in order."""
        return [each.name for each in self.agents]

    def agent_by_name(self, name: str) -> ConversableAgent | None:
        """The agent of a name."""
        return next((each for each in self.agents if each.name == name), None)

    def reset(self) -> None:
        """Forget what was said."""
        self.messages.clear()

    def select_speaker(
        self, last_speaker: ConversableAgent, selector: ConversableAgent
    ) -> ConversableAgent | None:
        """The next speaker; None ends the chat.

        Args:
            last_speaker: Who spoke last.
            selector: The manager, whose model chooses.

        Raises:
            UsageError: The function returned something else, or the manager has no model.
        """
        last = self.messages[-1] if self.messages else {}
        if calls := last.get("tool_calls"):
            wanted = {call["function"]["name"] for call in calls}
            able = [each for each in self.agents if wanted <= each.function_map.keys()]
            if able:
                return able[0]
        method = self.speaker_selection_method
        if callable(method):
            chosen = method(last_speaker, self)
            if chosen is None or isinstance(chosen, ConversableAgent):
                return chosen
            method = self._checked(chosen)
        after = self._after(last_speaker)
        candidates = after if self.allow_repeat_speaker or len(after) == 1 else after[:-1]
        match method:
            case "round_robin":
                return after[0]
            case "random":
                return random.choice(candidates)
            case "manual":
                return self._asked(candidates, selector)
            case _:
                return self._chosen_by_model(candidates, selector)

    def _after(self, speaker: ConversableAgent) -> list[ConversableAgent]:
        """The agents in order, from the one after the speaker to the speaker."""
        agents = list(self.agents)
        start = agents.index(speaker) + 1 if speaker in agents else 0
        return agents[start:] + agents[:start]

    def _checked(self, method: Any) -> Any:
        if callable(method) or method in _METHODS:
            return method
        raise UsageError(
            f"`speaker_selection_method` is one of {', '.join(_METHODS)}, or a function that "
            f"returns one, an agent or None; not {method!r}.",
            argument="speaker_selection_method",
        )

    def _asked(
        self, candidates: Sequence[ConversableAgent], selector: ConversableAgent
    ) -> ConversableAgent:
        lines = [f"{number}: {each.name}" for number, each in enumerate(candidates, 1)]
        sys.stdout.write(
            "\n".join(["Please select the next speaker from the following list:", *lines, ""])
        )
        for _ in range(_ATTEMPTS):
            reply = selector.get_human_input("The number of the next speaker: ").strip()
            if reply.isdecimal() and 1 <= int(reply) <= len(candidates):
                return candidates[int(reply) - 1]
        return candidates[0]

    def _chosen_by_model(
        self, candidates: Sequence[ConversableAgent], selector: ConversableAgent
    ) -> ConversableAgent:
        if len(candidates) == 1:
            return candidates[0]
        if not selector.client_list:
            raise UsageError(
                "speaker_selection_method='auto' needs a model: pass `llm_config` to the "
                "GroupChatManager, or use 'round_robin'.",
                argument="llm_config",
            )
        names = [each.name for each in candidates]
        text = fill_prompt(
            DEFAULT_SELECTOR_PROMPT,
            {
                "roles": "\n".join(f"{each.name}: {each.description}" for each in candidates),
                "participants": str(names),
                "history": "\n\n".join(
                    f"{each.get('name')}: {each.get('content') or ''}" for each in self.messages
                ),
            },
        )
        for _ in range(_ATTEMPTS):
            result = answer(selector.client_list, [UserMessage(content=text, source=selector.name)])
            found = mentioned(str(result.content), names)
            if len(found) == 1:
                return candidates[names.index(found[0])]
        return candidates[0]


class GroupChatManager(ConversableAgent):
    """Passes each message to all agents of a group chat, and lets one of them answer.

    Args:
        groupchat: The group chat.
        name: The name that the agents see.
        max_consecutive_auto_reply: Without effect: `max_round` is the limit.
        human_input_mode: Without effect.
        system_message: Without effect.
        llm_config: The models that choose the speakers.
        is_termination_msg: Whether a message ends the chat.
    """

    def __init__(
        self,
        groupchat: GroupChat,
        name: str | None = "chat_manager",
        max_consecutive_auto_reply: int | None = sys.maxsize,
        human_input_mode: HumanInputMode = "NEVER",
        system_message: str | None = "Group chat manager.",
        *,
        llm_config: Config | Literal[False] | None = None,
        is_termination_msg: Callable[[Message], bool] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            name or "chat_manager",
            system_message,
            is_termination_msg,
            max_consecutive_auto_reply,
            human_input_mode,
            llm_config=llm_config,
            **options,
        )
        self._groupchat = groupchat
        self._is_silent = False

    @property
    def groupchat(self) -> GroupChat:
        """The group chat."""
        return self._groupchat

    def initiate_chat(
        self,
        recipient: ConversableAgent | None = None,
        clear_history: bool = True,
        *args: Any,
        **rest: Any,
    ) -> ChatResult:
        """Begin the chat with a message of `recipient`: the same as its own `initiate_chat`.

        By default the first agent of the chat begins.
        """
        first = recipient or self._groupchat.agents[0]
        return first.initiate_chat(self, clear_history, *args, **rest)

    def receive(
        self,
        message: str | Message,
        sender: ConversableAgent,
        request_reply: bool | None = None,
        silent: bool = False,
    ) -> None:
        """Take a message; if it is silent, so is the chat that it begins."""
        self._is_silent = silent
        super().receive(message, sender, request_reply, silent)

    def clear_history(self, recipient: ConversableAgent | None = None) -> None:
        """Forget what was said, at the agents too."""
        super().clear_history(recipient)
        self._groupchat.reset()
        for agent in self._groupchat.agents:
            agent.chat_messages[self] = []

    def generate_reply(
        self,
        messages: Sequence[Message] | None = None,
        sender: ConversableAgent | None = None,
        exclude: Sequence[Any] = (),
    ) -> str | Message | None:
        """Let the agents speak until the chat ends; there is no answer to `sender` beyond that."""
        said = self.chat_messages[sender] if messages is None and sender else messages or []
        if not said or sender is None:
            return None
        chat, speaker, message = self._groupchat, sender, dict(said[-1])
        for round_number in range(1, chat.max_round + 1):
            message.setdefault("name", speaker.name)
            chat.messages.append(message)
            for agent in chat.agents:
                if agent is not speaker:
                    self.send(message, agent, request_reply=False, silent=True)
            if self._ends(message) or round_number == chat.max_round:
                return None
            chosen = chat.select_speaker(speaker, self)
            if chosen is not None and not self._is_silent:
                sys.stdout.write(f"\nNext speaker: {chosen.name}\n\n")
            reply = None if chosen is None else chosen.generate_reply(sender=self)
            if chosen is None or reply is None:
                return None
            chosen.send(reply, self, request_reply=False, silent=self._is_silent)
            speaker, message = chosen, dict(self.chat_messages[chosen][-1])
        return None
