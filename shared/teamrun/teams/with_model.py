"""The base class of teams that call a model themselves, besides their agents."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from teamrun.agents.assistant_checks import checked_model
from teamrun.core.protocols import ChatAgent, Team
from teamrun.models.base import ChatCompletionClient
from teamrun.teams.base import BaseGroupChat

__all__ = ["TeamWithModel"]


class TeamWithModel(BaseGroupChat):
    """A team with a model of its own, which selects speakers or plans.

    Args:
        participants: Agents and teams with unique names.
        model_client: The model.
        options: Arguments of `BaseGroupChat`.

    Raises:
        TypeError: There is no `model_client`.
    """

    role: ClassVar[str]
    """The name of the model's calls in paths of a run and in scripts."""

    def __init__(
        self,
        participants: Sequence[ChatAgent | Team] | None,
        model_client: ChatCompletionClient | None,
        **options: Any,
    ) -> None:
        super().__init__(participants, **options)
        if model_client is None:
            raise TypeError(
                f"{type(self).__name__} needs `model_client`, the model of the {self.role}."
            )
        self._model_client = checked_model(model_client, parameter="model_client")

    @property
    def model_client(self) -> ChatCompletionClient:
        """The team's own model."""
        return self._model_client

    def with_model(self, model_client: ChatCompletionClient) -> Self:
        """This team, with another model."""
        self._model_client = model_client
        return self
