"""Reconnecting, and servers that announce their end."""

import asyncio

from nats import errors

from checks import PATIENCE, ask, connect, equal, following, refusal, settle, soon, talks, truth


def event():
    """A queue, and the callback that fills it."""
    queue = asyncio.Queue()

    async def callback():
        queue.put_nowait(True)

    return queue, callback


async def reconnect():
    down, on_down = event()
    up, on_up = event()
    connection = await connect(
        reconnect_time_wait=0.02, max_reconnect_attempts=-1, disconnected_cb=on_down, reconnected_cb=on_up
    )
    subscription = await connection.subscribe("survives.*")
    group = await connection.subscribe("survives.*", queue="q")
    await settle(connection)
    for number in range(1, 3):
        await ask("restart")
        await soon("the end of the connection", down.get())
        await soon("the new connection", up.get())
        await connection.publish("survives.restart", str(number).encode())
        message = await following("a message after the restart", subscription)
        equal("a subscription survives a restart", message.data, str(number).encode())
        await following("a message for the group after the restart", group)
    error = await refusal("nobody is there", connection.request("nobody", timeout=PATIENCE))
    truth("no responders after it", isinstance(error, errors.NoRespondersError), error)
    await connection.force_reconnect()
    await soon("the connection made anew", up.get())
    await talks("a reconnect by one's own wish", connection)


async def lame_duck():
    told, on_told = event()
    down, on_down = event()
    connection = await connect(allow_reconnect=False, lame_duck_mode_cb=on_told, closed_cb=on_down)
    # The announcement goes to clients that have had the answer to a PING.
    await settle(connection)
    await ask("lame-duck")
    await soon("the announcement", told.get())
    await talks("it is told, and works on meanwhile", connection)
    equal("the end", await soon("the end", down.get()), True)


SCENARIOS = {"reconnect": reconnect, "lame_duck": lame_duck}
