"""Connecting, publish, subscribe, queue groups, requests, headers, drain."""

import asyncio

from nats import errors

from checks import ADDRESS, PATIENCE, Errors, Failed, connect, equal, following, ok, refusal, settle, soon, truth


async def pair():
    return await connect(name="publisher"), await connect(name="subscriber")


async def connecting():
    connection = await connect(name="named", verbose=True, pedantic=True)
    version = connection.connected_server_version
    equal("the version that clients decide by", (version.major, version.minor, version.patch), (2, 15, 2))
    equal("a payload may have a mebibyte", connection.max_payload, 1_048_576)
    truth("a client id", connection.client_id > 0)
    equal("the client's address", str(connection.client_ip), "127.0.0.1")
    equal("the server that it is at", connection.connected_url.netloc, ADDRESS)
    truth("a round trip", await connection.rtt() is not None)
    other = await connect(servers=["nats://127.0.0.1:1", f"nats://{ADDRESS}"], dont_randomize=True)
    equal("the second server is taken when the first is not there", other.connected_url.netloc, ADDRESS)
    await other.close()
    equal("closed", other.is_closed, True)
    error = await refusal("nobody listens", connect(servers="nats://127.0.0.1:1", allow_reconnect=False))
    truth("a connection refused is said", isinstance(error, (OSError, errors.Error)), error)


async def publish():
    messages = 5_000
    publisher, subscriber = await pair()
    subscription = await subscriber.subscribe("orders.new")
    await settle(subscriber)
    for number in range(messages):
        await publisher.publish("orders.new", str(number).encode())
    await publisher.flush()
    ok("flush")
    for number in range(messages):
        message = await following("a message", subscription)
        if message.data != str(number).encode():
            raise Failed(f"{message.data} in place of {number}")
    ok("publish and subscribe, in order")
    await publisher.publish("orders.new", b"", reply="answers.here")
    message = await following("a message", subscription)
    equal("an empty payload", message.data, b"")
    equal("a reply subject", message.reply, "answers.here")
    called = asyncio.get_running_loop().create_future()

    async def callback(message):
        called.set_result(message.data)

    await subscriber.subscribe("by.callback", cb=callback)
    await settle(subscriber)
    await publisher.publish("by.callback", b"hi")
    equal("a callback", await soon("a callback", called), b"hi")
    binary = bytes(range(256))
    await publisher.publish("orders.new", binary)
    equal("any bytes", (await following("a message", subscription)).data, binary)


async def wildcards():
    publisher, subscriber = await pair()
    star = await subscriber.subscribe("weather.*.today")
    rest = await subscriber.subscribe("weather.>")
    await settle(subscriber)
    subjects = ["weather.north.today", "weather.north", "weather.north.today.late", "weather"]
    for subject in subjects:
        await publisher.publish(subject)
    await settle(publisher)
    await settle(subscriber)
    equal("a star", (await following("a message", star)).subject, subjects[0])
    for subject in subjects[:3]:
        equal("the rest", (await following("a message", rest)).subject, subject)
    equal("nothing else came", star.pending_msgs + rest.pending_msgs, 0)


async def queue_groups():
    messages = 300
    publisher, subscriber = await pair()
    counts = [0, 0, 0]

    def count(index):
        async def callback(_):
            counts[index] += 1

        return callback

    await subscriber.subscribe("jobs.*", queue="workers", cb=count(0))
    await publisher.subscribe("jobs.>", queue="workers", cb=count(1))
    await publisher.subscribe("jobs.>", queue="watchers", cb=count(2))
    await settle(subscriber)
    await settle(publisher)
    for number in range(messages):
        await publisher.publish("jobs.one", str(number).encode())
    await settle(publisher)
    await settle(subscriber)
    await subscriber.drain()
    await publisher.drain()
    equal("a queue group gets each message once", counts[0] + counts[1], messages)
    truth("both members work", min(counts[:2]) > messages / 5, counts)
    equal("another group gets each too", counts[2], messages)


async def unsubscribe():
    publisher, subscriber = await pair()
    limited = await subscriber.subscribe("limited")
    await limited.unsubscribe(limit=3)
    ended = await subscriber.subscribe("limited")
    await ended.unsubscribe()
    witness = await subscriber.subscribe("limited")
    await settle(subscriber)
    for _ in range(10):
        await publisher.publish("limited", b"x")
    await settle(publisher)
    for _ in range(3):
        await following("a message", limited)
    for _ in range(10):
        await following("a message", witness)
    equal("unsubscribe after three messages", limited.pending_msgs, 0)
    equal("unsubscribe at once", ended.pending_msgs, 0)


async def headers():
    publisher, subscriber = await pair()
    subscription = await subscriber.subscribe("with.headers")
    await settle(subscriber)
    sent = {"Key": "one", "lower-case": "value with blanks"}
    await publisher.publish("with.headers", b"body", headers=sent)
    message = await following("a message", subscription)
    equal("headers arrive as sent", message.headers, sent)
    equal("beside their payload", message.data, b"body")
    await publisher.publish("with.headers", b"", headers=sent)
    message = await following("a message", subscription)
    equal("without a payload", (message.headers, message.data), (sent, b""))


async def requests():
    requester, responder = await pair()

    async def echo(message):
        await responder.publish(message.reply, message.data, headers=message.headers)

    await responder.subscribe("service.echo", queue="q", cb=echo)
    await settle(responder)
    for number in range(200):
        answer = await requester.request("service.echo", str(number).encode(), timeout=PATIENCE)
        if answer.data != str(number).encode():
            raise Failed(f"{answer.data} in place of {number}")
    ok("200 requests and answers")
    many = [requester.request("service.echo", str(number).encode(), timeout=PATIENCE) for number in range(200)]
    answers = await asyncio.gather(*many)
    equal("200 requests at a time", [answer.data for answer in answers], [str(n).encode() for n in range(200)])
    answer = await requester.request("service.echo", b"h", timeout=PATIENCE, headers={"Trace": "1"})
    equal("a request with headers", (answer.data, answer.headers), (b"h", {"Trace": "1"}))
    answer = await requester.request("service.echo", b"old", timeout=PATIENCE, old_style=True)
    equal("a request with an inbox of its own", answer.data, b"old")
    prefixed = await connect(inbox_prefix="_MINE")
    which = await responder.subscribe("which.inbox")
    await settle(responder)
    pending = asyncio.create_task(prefixed.request("which.inbox", timeout=PATIENCE))
    request = await following("a request", which)
    truth("inboxes with a prefix", request.reply.startswith("_MINE."), request.reply)
    await request.respond(b"")
    await soon("the answer", pending)
    await responder.subscribe("silent")
    await settle(responder)
    error = await refusal("a late answer", requester.request("silent", timeout=0.1))
    truth("an answer that does not come in time", isinstance(error, errors.TimeoutError), error)


async def request_many():
    requester, responder = await pair()

    def answering(name):
        async def callback(message):
            await message.respond(name)

        return callback

    for name in [b"a", b"b", b"c"]:
        await responder.subscribe("who.is.there", cb=answering(name))
    await settle(responder)
    inbox = requester.new_inbox()
    answers = await requester.subscribe(inbox, max_msgs=3)
    await requester.publish("who.is.there", reply=inbox)
    found = sorted([(await following("an answer", answers)).data for _ in range(3)])
    equal("an answer of everybody", found, [b"a", b"b", b"c"])


async def no_responders():
    connection = await connect()
    error = await refusal("nobody is there", connection.request("nobody.here", timeout=PATIENCE))
    truth("no responders", isinstance(error, errors.NoRespondersError), error)
    error = await refusal("nobody", connection.request("nobody.here", timeout=PATIENCE, old_style=True))
    truth("no responders, by an inbox of its own", isinstance(error, errors.NoRespondersError), error)
    subscription = await connection.subscribe("answers.here")
    await connection.publish("nobody.here", reply="answers.here")
    message = await following("the notice", subscription)
    equal("the notice", (message.headers.get("Status"), message.data), ("503", b""))


async def payload_limit():
    publisher, subscriber = await pair()
    limit = publisher.max_payload
    equal("the configured limit", limit, 4096)
    subscription = await subscriber.subscribe("large")
    await settle(subscriber)
    await publisher.publish("large", bytes(limit))
    equal("the largest payload", len((await following("a message", subscription)).data), limit)
    error = await refusal("one byte more", publisher.publish("large", bytes(limit + 1)))
    truth("one byte more", isinstance(error, errors.MaxPayloadError), error)
    await settle(publisher)
    ok("the connection lives")


async def no_echo():
    connection = await connect(no_echo=True)
    own = await connection.subscribe("echo")
    await connection.publish("echo", b"x")
    await settle(connection)
    equal("without echo nothing of one's own arrives", own.pending_msgs, 0)


async def invalid_subject():
    connection = await connect()
    for subject in ["a..b", "a b", ""]:
        error = await refusal(subject, connection.subscribe(subject))
        truth(f'the library refuses "{subject}"', isinstance(error, errors.BadSubjectError), error)
    # The library closes a connection that gets an error which it does not know.
    closed = asyncio.Event()

    async def on_closed():
        closed.set()

    unchecked = await connect(skip_subject_validation=True, closed_cb=on_closed, allow_reconnect=False)
    await unchecked.subscribe("a..b")
    await soon("the end", closed.wait())
    equal("an invalid subject is said", str(unchecked.last_error).lower(), "nats: invalid subject")


async def drain():
    messages = 1_000
    publisher, subscriber = await pair()
    counts = [0, 0]

    def slowly(index):
        async def callback(_):
            await asyncio.sleep(0)
            counts[index] += 1

        return callback

    drained = await subscriber.subscribe("drained", cb=slowly(0))
    await subscriber.subscribe("drained.too", cb=slowly(1))
    await settle(subscriber)
    for _ in range(messages):
        await publisher.publish("drained", b"x")
        await publisher.publish("drained.too", b"x")
    await settle(publisher)
    await settle(subscriber)
    await soon("the end of the drained subscription", drained.drain())
    equal("draining a subscription loses nothing", counts[0], messages)
    await soon("the end of the drained connection", subscriber.drain())
    equal("draining a connection loses nothing", counts[1], messages)
    equal("it is closed then", subscriber.is_closed, True)


async def slow_consumer():
    told = Errors()
    publisher, subscriber = await connect(), await connect(error_cb=told.take)
    release = asyncio.Event()
    received = 0

    async def waiting(_):
        nonlocal received
        await release.wait()
        received += 1

    await subscriber.subscribe("flood", cb=waiting, pending_msgs_limit=10)
    await settle(subscriber)
    for _ in range(100):
        await publisher.publish("flood", b"x")
    await settle(publisher)
    error = await told.following("a word about the slow consumer", "slow consumer")
    truth("it is told that it is slow", isinstance(error, errors.SlowConsumerError), error)
    release.set()
    await subscriber.drain()
    truth("it gets what it could hold", 10 <= received < 100, received)


SCENARIOS = {
    "connect": connecting,
    "publish": publish,
    "wildcards": wildcards,
    "queue_groups": queue_groups,
    "unsubscribe": unsubscribe,
    "headers": headers,
    "requests": requests,
    "request_many": request_many,
    "no_responders": no_responders,
    "payload_limit": payload_limit,
    "no_echo": no_echo,
    "invalid_subject": invalid_subject,
    "drain": drain,
    "slow_consumer": slow_consumer,
}
