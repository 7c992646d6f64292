"""Kills ansible-playbook, as a closed laptop does: after the first change that is not listed in $NOT_AFTER."""

import json
import os
import signal
from typing import Any

from ansible.plugins.callback import CallbackBase  # type: ignore[import-not-found]

DOCUMENTATION = """
name: interrupt
type: aggregate
short_description: Kill ansible-playbook after a change
description:
  - Kills ansible-playbook, without a chance to clean up, after the first task that changes something and is not in
    $NOT_AFTER, a JSON list of names.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Looks at each task that ended well."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "interrupt"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:
        """Kill, if the task changed something and is not listed."""
        name = result.task.get_name()
        if result.result.get("changed") and name not in json.loads(os.environ["NOT_AFTER"]):
            print(f"interrupted after: {name}", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
