"""Credentials, permissions, accounts, mappings."""

import json

from nats import errors

from checks import PATIENCE, Errors, connect, equal, following, refusal, settle, talks, truth

ALICE = {"user": "alice", "password": "w0nder"}
BOB = {"user": "bob", "password": "bu1lder"}
CAROL = {"user": "carol", "password": "s1nger"}

# The seeds of a user that the server knows, and of one that it does not know.
SEED = "SUADCIZ3TBX7BB7QTAJKXXCPFCAKH2JU6LQZ2UP63GLJ3FPH5ECEMHW3UA"
OTHER_SEED = "SUAOEKQUYVE754EOH3KQ33H5U6PFJUAXVDCQCYPXLRD6IHVSTSRBY6XZUI"


async def let_in(name, **options):
    connection = await connect(**options)
    await talks(name, connection)
    return connection


async def refused(name, **options):
    error = await refusal(name, connect(allow_reconnect=False, **options))
    truth(name, "authorization violation" in str(error).lower(), error)


async def token():
    await let_in("the right token", token="s3cret")
    await refused("a wrong token", token="wrong")
    await refused("no token")


async def user():
    await let_in("the right password", **ALICE)
    await refused("a wrong one", user="alice", password="wrong")
    await refused("another user", user="bob", password="w0nder")
    await refused("nobody")


async def nkey():
    await let_in("the right key", nkeys_seed_str=SEED)
    await refused("another key", nkeys_seed_str=OTHER_SEED)
    await refused("nobody")


async def no_auth_user():
    await let_in("without credentials")
    await let_in("with credentials", **ALICE)
    await refused("with wrong ones", user="alice", password="wrong")


async def permissions():
    told = Errors()
    alice, bob = await connect(**ALICE), await connect(error_cb=told.take, **BOB)
    seen = await alice.subscribe(">")
    await settle(alice)
    await bob.publish("orders.new", b"1")
    equal("what may be published arrives", (await following("a message", seen)).subject, "orders.new")
    for subject in ["other", "orders.secret"]:
        await bob.publish(subject, b"2")
        error = await told.following("a violation", "permissions violation for publish")
        truth(f"publishing {subject} is refused", f'"{subject}"' in str(error), error)
    in_force = await bob.subscribe("orders.*")
    await settle(bob)
    await alice.publish("orders.secret", b"3")
    await alice.publish("orders.new", b"4")
    equal("a denied subject is left out of a wildcard", (await following("a message", in_force)).data, b"4")
    await bob.subscribe("elsewhere")
    error = await told.following("a violation", "permissions violation for subscription")
    truth("a subscription is refused", '"elsewhere"' in str(error), error)
    worker = await bob.subscribe("work.a", queue="workers")
    await settle(bob)
    await alice.publish("work.a", b"5")
    equal("the group that is allowed", (await following("a message", worker)).data, b"5")
    await bob.subscribe("work.a", queue="others")
    error = await told.following("a violation", "permissions violation for subscription")
    truth("another group is refused", 'using queue "others"' in str(error), error)
    await seen.unsubscribe()
    await settle(alice)
    error = await refusal("nobody", bob.request("orders.nobody.here", timeout=PATIENCE))
    truth("a request that may be sent has no responders", isinstance(error, errors.NoRespondersError), error)
    await bob.publish("orders.talk", b"x")
    equal("the connection lives", (await following("a message", in_force)).data, b"x")


async def allow_responses():
    told = Errors()
    alice, carol = await connect(**ALICE), await connect(error_cb=told.take, **CAROL)

    async def answer_twice(message):
        await message.respond(b"first")
        await message.respond(b"second")

    await carol.subscribe("service.echo", cb=answer_twice)
    await settle(carol)
    answer = await alice.request("service.echo", timeout=PATIENCE)
    equal("an answer is allowed", answer.data, b"first")
    error = await told.following("a violation", "permissions violation for publish")
    truth("one alone", "_inbox." in str(error).lower(), error)
    await carol.publish("other", b"x")
    error = await told.following("a violation", "permissions violation for publish")
    truth("and nothing else", '"other"' in str(error), error)


async def accounts():
    connections = [await connect(**user) for user in (ALICE, BOB, CAROL)]
    subscriptions = [await connection.subscribe("same.subject") for connection in connections]
    for connection in connections:
        await settle(connection)
    for index, connection in enumerate(connections):
        await connection.publish("same.subject", str(index).encode())
    for connection in connections:
        await settle(connection)
    for index, subscription in enumerate(subscriptions):
        equal("one's own account", (await following("a message", subscription)).data, str(index).encode())
        equal("and no other", subscription.pending_msgs, 0)
    await refused("a user of none", user="dave", password="x")
    await refused("nobody")


async def account_streams():
    alice, bob, carol = [await connect(**user) for user in (ALICE, BOB, CAROL)]
    imported = await bob.subscribe("from.a.events.*")
    every = await bob.subscribe(">")
    foreign = await carol.subscribe(">")
    await settle(bob)
    await settle(carol)
    await alice.publish("events.one", b"1", reply="answers.here")
    message = await following("a message", imported)
    equal("a stream arrives under its prefix", (message.subject, message.data), ("from.a.events.one", b"1"))
    equal("its reply as sent", message.reply, "answers.here")
    equal("by a wider subscription too", (await following("a message", every)).subject, "from.a.events.one")
    await bob.publish("from.a.events.one", b"back")
    await bob.publish("events.one", b"back")
    await settle(bob)
    await settle(carol)
    equal("an account that does not import gets nothing", foreign.pending_msgs, 0)


async def account_services():
    alice, bob, carol = [await connect(**user) for user in (ALICE, BOB, CAROL)]

    async def serve(subject, *answers):
        async def callback(message):
            for answer in answers:
                await message.respond(answer)

        await alice.subscribe(subject, cb=callback)

    await serve("time.now", b"noon")
    await serve("private.work", b"done")
    await serve("parts", b"1", b"2", b"3")
    await settle(alice)
    equal("a service under another subject", (await bob.request("clock", timeout=PATIENCE)).data, b"noon")
    equal("a private service", (await bob.request("private.work", timeout=PATIENCE)).data, b"done")
    equal("again", (await bob.request("clock", timeout=PATIENCE)).data, b"noon")
    inbox = bob.new_inbox()
    parts = await bob.subscribe(inbox)
    await bob.publish("parts", reply=inbox)
    found = [(await following("a part", parts)).data for _ in range(3)]
    equal("several answers", found, [b"1", b"2", b"3"])
    for subject in ["time.now", "clock", "private.work"]:
        error = await refusal(subject, carol.request(subject, timeout=PATIENCE))
        truth(f"nobody serves {subject} where it is not imported", isinstance(error, errors.NoRespondersError), error)


async def mappings():
    messages = 400
    connection = await connect()
    subscription = await connection.subscribe("new.*")
    old = await connection.subscribe("old.*")
    await connection.publish("old.one", b"1")
    message = await following("a message", subscription)
    equal("a mapped subject", (message.subject, message.data), ("new.one", b"1"))
    equal("instead of the old one", old.pending_msgs, 0)
    swapped = await connection.subscribe("swapped.>")
    await connection.publish("swap.a.b", b"2")
    equal("tokens in another order", (await following("a message", swapped)).subject, "swapped.b.a")
    shares = [await connection.subscribe(subject) for subject in ("weighed.a", "weighed.b")]
    for _ in range(messages):
        await connection.publish("weighed", b"x")
    await settle(connection)
    counts = [share.pending_msgs for share in shares]
    equal("weights lose nothing", sum(counts), messages)
    truth("both get their share", min(counts) > messages / 4, counts)

    async def yes(message):
        await message.respond(b"yes")

    await connection.subscribe("new.service", cb=yes)
    await settle(connection)
    answer = await connection.request("old.service", timeout=PATIENCE)
    equal("a mapped request", answer.data, b"yes")


async def user_info():
    connection = await connect()
    answer = await connection.request("$SYS.REQ.USER.INFO", timeout=PATIENCE)
    equal("who one is", json.loads(answer.data)["data"]["account"], "$G")


SCENARIOS = {
    "token": token,
    "user": user,
    "nkey": nkey,
    "no_auth_user": no_auth_user,
    "permissions": permissions,
    "allow_responses": allow_responses,
    "accounts": accounts,
    "account_streams": account_streams,
    "account_services": account_services,
    "mappings": mappings,
    "user_info": user_info,
}
