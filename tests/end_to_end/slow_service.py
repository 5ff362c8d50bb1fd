"""The service as a process, with a network whose steps take as long as a file says.

    python -m tests.end_to_end.slow_service CHECKPOINTS PORT STEP_FILE

Only here can a network be put in the place of the served one: neither a setting nor an option of
`python -m app` reaches it.
"""

import sys
import time
from pathlib import Path

from app.catalog import fast_network
from app.collector import set_imports_aside
from app.models import load_models
from app.server import Process, bind
from app.settings import load_settings

FOREVER = "forever"
DEAD = "dead"
PATIENCE_SECONDS = 0.01


class SlowNetwork:
    """Translates as the served network, after waiting as long as the file says at that moment."""

    def __init__(self, network, step_file):
        self._network = network
        self._step_file = step_file
        self.config, self.spelling = network.config, network.spelling
        self.is_warm = False

    def encode(self, source, lengths):
        return self._network.encode(source, lengths)

    def step(self, inputs, state, memory):
        if self.is_warm:
            self._wait()
        return self._network.step(inputs, state, memory)

    def _wait(self):
        began = time.monotonic()
        while (wish := self._step_file.read_text()) == FOREVER:
            time.sleep(PATIENCE_SECONDS)
        if wish == DEAD:
            raise SystemExit
        time.sleep(max(0.0, float(wish) - (time.monotonic() - began)))


def main(checkpoints, port, step_file):
    made = []

    def make_network(model):
        made.append(SlowNetwork(fast_network(model), Path(step_file)))
        return made[-1]

    def tell():
        for network in made:
            network.is_warm = True
        print("ready", flush=True)

    set_imports_aside()
    settings = load_settings().model_copy(update={"checkpoints": Path(checkpoints)})
    models = load_models(settings.checkpoints)
    public = bind("127.0.0.1", int(port))
    admin = None if settings.admin_port is None else bind("127.0.0.1", settings.admin_port)
    process = Process(settings, models, public, admin, make_network=make_network)
    return process.run(when_ready=tell)


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.exit(code)
