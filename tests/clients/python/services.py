"""Services that can be discovered, with their figures."""

import asyncio
import json

import nats.micro
from nats import errors

from checks import PATIENCE, connect, equal, following, ok, refusal, settle, truth


async def discovered(connection, subject, count):
    """What so many instances answer, and that no more do."""
    inbox = connection.new_inbox()
    answers = await connection.subscribe(inbox)
    await connection.publish(subject, reply=inbox)
    found = [json.loads((await following(subject, answers)).data) for _ in range(count)]
    await asyncio.sleep(0.1)
    equal(f"{count} instances answer {subject}", answers.pending_msgs, 0)
    await answers.unsubscribe()
    return found


async def services():
    server, client = await connect(), await connect()

    async def add(request):
        try:
            numbers = json.loads(request.data)
            await request.respond(str(sum(numbers)).encode())
        except (TypeError, ValueError):
            await request.respond_error("400", "no numbers")

    service = await nats.micro.add_service(server, name="adder", version="1.2.3", description="adds numbers")
    await service.add_group(name="math").add_endpoint(name="add", handler=add)
    second = await nats.micro.add_service(server, name="adder", version="1.2.3")
    await settle(server)

    pings = await discovered(client, "$SRV.PING.adder", 2)
    equal("every instance answers a ping", sorted(ping["id"] for ping in pings), sorted([service.id, second.id]))
    await discovered(client, "$SRV.PING", 2)
    (info,) = await discovered(client, f"$SRV.INFO.adder.{service.id}", 1)
    equal("its info", (info["name"], info["version"], info["description"]), ("adder", "1.2.3", "adds numbers"))
    equal("its endpoints", [(one["name"], one["subject"]) for one in info["endpoints"]], [("add", "math.add")])

    for number in range(10):
        answer = await client.request("math.add", json.dumps([number, 1]).encode(), timeout=PATIENCE)
        if answer.data != str(number + 1).encode():
            raise AssertionError(answer)
    ok("ten requests")
    answer = await client.request("math.add", b"1", timeout=PATIENCE)
    equal("an error", answer.headers.get("Nats-Service-Error-Code"), "400")
    (stats,) = await discovered(client, f"$SRV.STATS.adder.{service.id}", 1)
    equal("its figures", stats["endpoints"][0]["num_requests"], 11)
    truth("its times", stats["endpoints"][0]["processing_time"] > 0, stats)

    await service.stop()
    await settle(server)
    error = await refusal("stopped", client.request("math.add", b"[]", timeout=PATIENCE))
    truth("a service that was stopped has no responders", isinstance(error, errors.NoRespondersError), error)
    await discovered(client, "$SRV.PING.adder", 1)


SCENARIOS = {"services": services}
