"""A context that fits into a model's window."""

from collections.abc import Sequence

from teamrun.context.base import ChatCompletionContext, whole_exchanges
from teamrun.messages.llm import LLMMessage
from teamrun.models.base import ChatCompletionClient
from teamrun.tools.schema import ToolSchema

__all__ = ["TokenLimitedChatCompletionContext"]


class TokenLimitedChatCompletionContext(ChatCompletionContext):
    """Shows the messages that fit; others are omitted from the middle.

    A tool request and its results are left out together.

    Args:
        model_client: Counts the tokens.
        token_limit: Maximum number of tokens; by default that of the model.
        tool_schema: Tools that take up room as well.
        initial_messages: The conversation at the beginning.

    Raises:
        ValueError: `token_limit` is less than 1.
    """

    def __init__(
        self,
        model_client: ChatCompletionClient,
        *,
        token_limit: int | None = None,
        tool_schema: Sequence[ToolSchema] | None = None,
        initial_messages: Sequence[LLMMessage] | None = None,
    ) -> None:
        super().__init__(initial_messages)
        if token_limit is not None and token_limit <= 0:
            raise ValueError("token_limit must be greater than 0.")
        self._model_client = model_client
        self._token_limit = token_limit
        self._tool_schema = list(tool_schema or ())

    async def get_messages(self) -> list[LLMMessage]:
        """The messages that fit."""
        messages = self._messages
        while messages and self._over_limit(messages):
            middle = len(messages) // 2
            messages = whole_exchanges(messages[:middle] + messages[middle + 1 :])
        return messages

    def _over_limit(self, messages: Sequence[LLMMessage]) -> bool:
        if self._token_limit is None:
            return self._model_client.remaining_tokens(messages, tools=self._tool_schema) < 0
        count = self._model_client.count_tokens(messages, tools=self._tool_schema)
        return count > self._token_limit
