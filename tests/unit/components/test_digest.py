"""The digest of a definition is that of its content."""

import hashlib

from teamrun.components.definitions.agents import AssistantDefinition
from teamrun.components.definitions.digest import canonical_json, digest


def test_the_order_of_keys_is_not_content() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})


def test_it_is_the_sha256_of_compact_json() -> None:
    assert canonical_json({"b": "é", "a": None}) == '{"a":null,"b":"é"}'.encode()
    assert digest({}) == hashlib.sha256(b"{}").hexdigest()


def test_an_empty_field_is_not_content() -> None:
    plain = AssistantDefinition(name="a", model="m")
    spoken = AssistantDefinition(name="a", model="m", description=None)

    assert b"description" not in canonical_json(plain)
    assert digest(plain) == digest(spoken) != digest(AssistantDefinition(name="b", model="m"))
