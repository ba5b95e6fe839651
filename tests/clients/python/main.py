"""What users do with the nats-py library, as checks that run against a server.

`python main.py SCENARIO ADDRESS CERTIFICATES` prints a line for each check and ends with code 0 when all of them held.
Where a scenario needs something done to the server it prints "ask" and what, and waits for a line on its input that
says that it is done.
"""

import asyncio
import os
import sys
import traceback

import access
import checks
import core
import encrypted
import lifecycle
import services

SCENARIOS = core.SCENARIOS | access.SCENARIOS | encrypted.SCENARIOS | lifecycle.SCENARIOS | services.SCENARIOS


def main() -> int:
    scenario = SCENARIOS.get(checks.SCENARIO)
    if scenario is None:
        print(f"there is no scenario {checks.SCENARIO}", file=sys.stderr)
        return 2
    try:
        asyncio.run(scenario())
    except checks.Failed as failed:
        print(f"FAILED {failed}", flush=True)
        return 1
    except Exception:
        print(f"FAILED unexpected: {traceback.format_exc()}", flush=True)
        return 1
    print(f"{checks.held} checks held", flush=True)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Connections that a scenario left open are not worth waiting for.
    os._exit(code)
