"""The text of an object, which logs and tracebacks contain, never has a secret."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import get_args

import pytest
from pydantic import BaseModel

import teamrun
import teamrun_api

_NAMES = {"secret", "secrets", "api_key", "token"}
_WORDS = {"ChatCompletionTokenLogprob"}
"""Classes whose `token` is a piece of text."""


def _secrets(kind: type[BaseModel]) -> set[str]:
    """The fields of text with a secret; a model in a field is checked by itself."""
    fields = kind.model_fields
    return {
        name
        for name in _NAMES & set(fields)
        if str in (fields[name].annotation, *get_args(fields[name].annotation))
    }


def _loaded() -> Iterator[type[BaseModel]]:
    for package in (teamrun, teamrun_api):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    waiting = [BaseModel]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if (
                kind.__module__.startswith("teamrun")
                and kind.__name__ not in _WORDS
                and _secrets(kind)
            ):
                yield kind


_KINDS = sorted(set(_loaded()), key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")


def test_there_are_models_with_a_secret() -> None:
    assert {"NewWebhook", "WebhookSecret", "Secret"} <= {kind.__name__ for kind in _KINDS}


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.__qualname__)
def test_the_text_of_a_model_has_no_secret(kind: type[BaseModel]) -> None:
    value = kind.model_construct(None, **dict.fromkeys(_secrets(kind), "whsec_secret"))

    assert "whsec_secret" not in f"{value!r} {value}"
