"""Example bodies about stored teams, for the OpenAPI document."""

from teamrun.json_types import JsonObject

__all__ = ["TEAM_EXAMPLES"]

_DEFINITION: JsonObject = {
    "type": "round_robin_group_chat",
    "participants": [
        {
            "type": "assistant_agent",
            "name": "poet",
            "model": "main",
            "system_message": "Write a haiku on the topic.",
        }
    ],
    "max_turns": 1,
}

_COMPONENT: JsonObject = {
    "provider": "autogen_agentchat.teams.RoundRobinGroupChat",
    "component_type": "team",
    "version": 1,
    "component_version": 1,
    "config": {
        "participants": [
            {
                "provider": "autogen_agentchat.agents.AssistantAgent",
                "component_type": "agent",
                "config": {
                    "name": "poet",
                    "model_client": {
                        "provider": "autogen_ext.models.openai.OpenAIChatCompletionClient",
                        "component_type": "model",
                        "config": {"model": "gpt-4.1-mini"},
                    },
                    "system_message": "Write a haiku on the topic.",
                },
            }
        ],
        "max_turns": 1,
    },
}

_VERSION: JsonObject = {
    "version": "2",
    "digest": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "aliases": ["production"],
    "comment": "Says what to do.",
    "created_at": "2026-03-31T08:00:00.000000Z",
}

_TEAM: JsonObject = {
    "id": "team_019d42e0c0007a1b8c2d3e4f50617283",
    "name": "haiku",
    "version": "2",
    "digest": _VERSION["digest"],
    "type": "round_robin_group_chat",
    "description": "One haiku.",
    "agents": ["poet"],
    "models": [
        {
            "profile": "main",
            "active": "main",
            "type": "openai",
            "model": "gpt-4.1-mini",
            "scripted": False,
            "missing": None,
            "unset": None,
        }
    ],
    "tools": [],
    "source": "stored",
    "aliases": {"production": 2},
    "metadata": {"owner": "lit"},
    "revision": 4,
    "created_at": "2026-03-30T08:00:00.000000Z",
    "updated_at": "2026-03-31T08:00:00.000000Z",
}

TEAM_EXAMPLES: JsonObject = {
    "AddVersion": {"comment": "Says what to do.", "team_spec": _DEFINITION},
    "CreateTeam": {
        "name": "haiku",
        "description": "One haiku.",
        "metadata": {"owner": "lit"},
        "team_spec": _DEFINITION,
    },
    "CreateTeamOfComponent": {"name": "haiku", "team_spec": _COMPONENT},
    "PutAlias": {"version": 2},
    "StoredTeam": _TEAM,
    "TeamDiff": {
        "from_version": "1",
        "to_version": "2",
        "changes": [
            {
                "kind": "changed",
                "pointer": "/participants/0/system_message",
                "before": "Write a haiku.",
                "after": "Write a haiku on the topic.",
            }
        ],
    },
    "TeamGraph": {
        "version": "2",
        "nodes": [
            {
                "id": "haiku",
                "name": "haiku",
                "type": "round_robin_group_chat",
                "parent": None,
                "description": None,
                "models": [],
                "tools": [],
            },
            {
                "id": "haiku/poet",
                "name": "poet",
                "type": "assistant_agent",
                "parent": "haiku",
                "description": None,
                "models": ["main"],
                "tools": [],
            },
        ],
        "edges": [],
        "mermaid": 'flowchart TD\n  subgraph n0["haiku (round_robin_group_chat)"]\n'
        '    n1["poet (assistant_agent)"]\n  end\n',
    },
    "TeamSchema": {
        "version": "2",
        "input": {"type": "string"},
        "output": {"type": "object", "properties": {"text": {"type": "string"}}},
        "answers": {},
    },
    "UpdateTeam": {"name": "haiku", "description": "One haiku."},
    "Version": {**_VERSION, "definition": {"name": "team", **_DEFINITION}},
    "VersionAdded": {**_VERSION, "aliases": [], "definition": {"name": "team", **_DEFINITION}},
    "Versions": {"data": [_VERSION], "next_cursor": "2", "has_more": True},
}
"""By their names in the document."""
