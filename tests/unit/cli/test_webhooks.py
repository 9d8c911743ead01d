"""`teamrun webhooks`: rows for scripts have tabs."""

import json

from tests.support.scripted_api import Given, scripted_api
from typer.testing import CliRunner

from teamrun.cli.app import app

HOOK = {
    "id": "whe_1",
    "url": "https://example.com/hook",
    "events": ["run.*"],
    "version": 1,
    "created_at": "2026-03-31T08:00:00Z",
    "updated_at": "2026-03-31T08:00:00Z",
}


def test_create_prints_the_id_and_the_secret_as_list_prints_its_rows() -> None:
    made, page = {**HOOK, "secret": "whsec_x"}, {"data": [HOOK]}
    answers = [Given(201, json.dumps(made).encode()), Given(200, json.dumps(page).encode())]
    with scripted_api(*answers) as api:
        runner, options = CliRunner(), ["--url", api.url]
        created = runner.invoke(app, ["webhooks", "create", "https://example.com/hook", *options])
        listed = runner.invoke(app, ["webhooks", "list", *options])

    assert created.stdout == "whe_1\twhsec_x\n"
    assert listed.stdout.split("\t")[0] == "whe_1"
