"""The lines that a scenario prints, and what all scenarios share."""

import asyncio
import sys

import nats

SCENARIO, ADDRESS, CERTIFICATES = sys.argv[1:4]

# How long an expected message may take, in seconds.
PATIENCE = 60.0

held = 0


class Failed(Exception):
    """A check that did not hold."""


def ok(name):
    global held
    print(f"ok {name}", flush=True)
    held += 1


def equal(name, found, expected):
    if found != expected:
        raise Failed(f"{name}: found {found!r}, expected {expected!r}")
    ok(name)


def truth(name, condition, shown=None):
    if not condition:
        raise Failed(f"{name}: does not hold: {shown!r}")
    ok(name)


async def ask(action):
    """Has something done to the server and waits until it is."""
    print(f"ask {action}", flush=True)
    line = await asyncio.to_thread(sys.stdin.readline)
    if line.strip() != "done":
        raise Failed(f"ask {action}: was told {line!r}")


async def soon(name, awaitable):
    """Waits, not for ever."""
    try:
        return await asyncio.wait_for(awaitable, PATIENCE)
    except asyncio.TimeoutError:
        raise Failed(f"{name} did not come") from None


async def following(name, subscription):
    """The next message of a subscription, soon."""
    try:
        return await subscription.next_msg(timeout=PATIENCE)
    except nats.errors.TimeoutError:
        raise Failed(f"{name} did not come") from None


async def refusal(name, awaitable):
    """The error that is raised."""
    try:
        await asyncio.wait_for(awaitable, PATIENCE * 2)
    except Exception as error:
        return error
    raise Failed(f"{name}: it was not refused")


class Errors:
    """The asynchronous errors of a connection, in their order."""

    def __init__(self):
        self.queue = asyncio.Queue()

    async def take(self, error):
        self.queue.put_nowait(error)

    async def following(self, name, words):
        """The next error that holds the words, soon; others are skipped."""
        while True:
            error = await soon(name, self.queue.get())
            if words.lower() in str(error).lower():
                return error


async def connect(**options):
    options = {"servers": f"nats://{ADDRESS}", "connect_timeout": PATIENCE, "error_cb": Errors().take} | options
    return await nats.connect(**options)


async def settle(connection):
    """Waits until the server has handled all that was sent.

    The library's `flush` writes its PING before what is still pending, so that the first one only pushes that out; the
    answer to the second one comes behind it.
    """
    await connection.flush()
    await connection.flush()


async def talks(name, connection):
    """Checks that a connection can be used."""
    subscription = await connection.subscribe("talk")
    await connection.publish("talk", b"x")
    equal(name, (await following(name, subscription)).data, b"x")
    await subscription.unsubscribe()
