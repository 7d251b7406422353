"""One of several processes that change one board's state at once: N transactions are settled, one save each.

Usage: locking.py ROOT NAME N
"""

import sys

from crashing import scene

from edgewright_agent.storage import state as states


def main(folder, name, count):
    scene.record(None)
    agent = scene.Agent(folder, "")
    for number in range(int(count)):
        with agent.store.locked() as state:
            states.settle(state, "%s %d" % (name, number), "committed")
            agent.store.save(state)


main(*sys.argv[1:])
