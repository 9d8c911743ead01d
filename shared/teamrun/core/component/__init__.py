"""Components: agents, teams and their parts as data, in the form of AutoGen's component JSON."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.core.component.base import (
        Component,
        ComponentBase,
        ComponentLoader,
        ComponentWarning,
    )
    from teamrun.core.component.model import ComponentModel

__all__ = ["Component", "ComponentBase", "ComponentLoader", "ComponentModel", "ComponentWarning"]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".base": ("Component", "ComponentBase", "ComponentLoader", "ComponentWarning"),
        ".model": ("ComponentModel",),
    },
)
