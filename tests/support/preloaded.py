"""Everything that a worker or an API imports, sooner or later: for the process they are forked off.

If Python cannot store compiled files, a start costs a second of CPU time without this.
"""

import gc
import importlib

__all__: list[str] = []

_MODULES = (
    "anyio._backends._asyncio",
    "billiard.pool",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.log",
    "celery.apps.worker",
    "celery.backends.base",
    "celery.concurrency.thread",
    "celery.events.receiver",
    "celery.fixups.django",
    "celery.worker.autoscale",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.control",
    "celery.worker.strategy",
    "httpcore2",
    "kombu.transport.redis",
    "openai.lib.streaming.chat",
    "openai.resources.chat.completions",
    "teamrun.live.redis",
    "teamrun.models.openai.calls",
    "teamrun_api.process",
    "teamrun_worker.process",
    "tests.support.crash_points",
    "truststore",
)

for name in _MODULES:
    importlib.import_module(name)

gc.collect()
gc.freeze()  # else each child's first collection would write to, and so copy, all of it
