// Credentials, permissions, accounts, mappings.

import { errors, nkeyAuthenticator } from "@nats-io/nats-core";

import { connect, equal, next, ok, PATIENCE_MS, refusal, soon, status, talks, truth } from "./checks.mjs";

const ALICE = { user: "alice", pass: "w0nder" };
const BOB = { user: "bob", pass: "bu1lder" };
const CAROL = { user: "carol", pass: "s1nger" };

// The seeds of a user that the server knows, and of one that it does not know.
const SEED = "SUADCIZ3TBX7BB7QTAJKXXCPFCAKH2JU6LQZ2UP63GLJ3FPH5ECEMHW3UA";
const OTHER_SEED = "SUAOEKQUYVE754EOH3KQ33H5U6PFJUAXVDCQCYPXLRD6IHVSTSRBY6XZUI";

async function letIn(name, options) {
  const connection = await connect(options);
  await talks(name, connection);
  return connection;
}

async function refused(name, options) {
  const error = await refusal(name, connect({ reconnect: false, ...options }));
  truth(name, error instanceof errors.AuthorizationError, error);
}

async function token() {
  const connection = await letIn("the right token", { token: "s3cret" });
  equal("credentials are asked for", connection.info.auth_required, true);
  await refused("a wrong token", { token: "wrong" });
  await refused("no token", {});
}

async function user() {
  await letIn("the right password", ALICE);
  await refused("a wrong one", { ...ALICE, pass: "wrong" });
  await refused("another user", { ...ALICE, user: "bob" });
  await refused("nobody", {});
}

async function nkey() {
  const bytes = (seed) => new TextEncoder().encode(seed);
  await letIn("the right key", { authenticator: nkeyAuthenticator(bytes(SEED)) });
  await refused("another key", { authenticator: nkeyAuthenticator(bytes(OTHER_SEED)) });
  await refused("nobody", {});
}

async function noAuthUser() {
  await letIn("without credentials", {});
  await letIn("with credentials", ALICE);
  await refused("with wrong ones", { ...ALICE, pass: "wrong" });
}

// The next violation that the connection is told of. Call it before what causes it.
function violation(connection) {
  const fits = (one) => one.type === "error" && one.error instanceof errors.PermissionViolationError;
  return status(connection, "a permissions violation", fits).then((one) => one.error);
}

async function permissions() {
  const [alice, bob] = [await connect(ALICE), await connect(BOB)];
  const seen = alice.subscribe(">");
  await alice.flush();
  bob.publish("orders.new", "1");
  equal("what may be published arrives", (await next("a message", seen)).subject, "orders.new");
  for (const subject of ["other", "orders.secret"]) {
    const told = violation(bob);
    bob.publish(subject, "2");
    const error = await told;
    equal(`publishing ${subject} is refused`, [error.operation, error.subject], ["publish", subject]);
  }
  const inForce = bob.subscribe("orders.*");
  await bob.flush();
  alice.publish("orders.secret", "3");
  alice.publish("orders.new", "4");
  equal("a denied subject is left out of a wildcard", (await next("a message", inForce)).string(), "4");
  let told = violation(bob);
  bob.subscribe("elsewhere", { callback: () => {} });
  let error = await told;
  equal("a subscription is refused", [error.operation, error.subject], ["subscription", "elsewhere"]);
  const worker = bob.subscribe("work.a", { queue: "workers" });
  await bob.flush();
  alice.publish("work.a", "5");
  equal("the group that is allowed", (await next("a message", worker)).string(), "5");
  told = violation(bob);
  bob.subscribe("work.a", { queue: "others", callback: () => {} });
  error = await told;
  equal("another group is refused", [error.operation, error.subject, error.queue], ["subscription", "work.a", "others"]);
  seen.unsubscribe();
  await alice.flush();
  const answer = await refusal("no answer", bob.request("orders.nobody.here", "", { timeout: PATIENCE_MS }));
  truth("a request that may be sent has no responders", answer.isNoResponders?.(), answer);
  await talksAs(bob, "the connection lives");
}

async function talksAs(connection, name) {
  const subscription = connection.subscribe("orders.talk");
  connection.publish("orders.talk", "x");
  equal(name, (await next(name, subscription)).string(), "x");
}

async function allowResponses() {
  const [alice, carol] = [await connect(ALICE), await connect(CAROL)];
  const twice = violation(carol);
  carol.subscribe("service.echo", {
    callback: (_, message) => {
      message.respond("first");
      message.respond("second");
    },
  });
  await carol.flush();
  const answer = await alice.request("service.echo", "", { timeout: PATIENCE_MS });
  equal("an answer is allowed", answer.string(), "first");
  equal("one alone", (await twice).operation, "publish");
  const told = violation(carol);
  carol.publish("other", "x");
  equal("and nothing else", (await told).subject, "other");
}

async function accounts() {
  const connections = [await connect(ALICE), await connect(BOB), await connect(CAROL)];
  const subscriptions = connections.map((connection) => connection.subscribe("same.subject"));
  await Promise.all(connections.map((connection) => connection.flush()));
  for (const [index, connection] of connections.entries()) connection.publish("same.subject", `${index}`);
  await Promise.all(connections.map((connection) => connection.flush()));
  for (const [index, subscription] of subscriptions.entries()) {
    equal("one's own account", (await next("a message", subscription)).string(), `${index}`);
    equal("and no other", subscription.getReceived(), 1);
  }
  await refused("a user of none", { user: "dave", pass: "x" });
  await refused("nobody", {});
}

async function accountStreams() {
  const [alice, bob, carol] = [await connect(ALICE), await connect(BOB), await connect(CAROL)];
  const imported = bob.subscribe("from.a.events.*");
  const all = bob.subscribe(">");
  const foreign = carol.subscribe(">");
  await Promise.all([bob.flush(), carol.flush()]);
  alice.publish("events.one", "1", { reply: "answers.here" });
  await alice.flush();
  const message = await next("a message", imported);
  equal("a stream arrives under its prefix", [message.subject, message.string()], ["from.a.events.one", "1"]);
  equal("its reply as sent", message.reply, "answers.here");
  equal("by a wider subscription too", (await next("a message", all)).subject, "from.a.events.one");
  bob.publish("from.a.events.one", "back");
  bob.publish("events.one", "back");
  await Promise.all([bob.flush(), carol.flush()]);
  equal("an account that does not import gets nothing", foreign.getReceived(), 0);
}

async function accountServices() {
  const [alice, bob, carol] = [await connect(ALICE), await connect(BOB), await connect(CAROL)];
  const serve = (subject, ...answers) =>
    alice.subscribe(subject, {
      callback: (_, message) => {
        for (const answer of answers) message.respond(answer);
      },
    });
  serve("time.now", "noon");
  serve("private.work", "done");
  serve("parts", "1", "2", "3");
  await alice.flush();
  const ask = async (connection, subject) =>
    (await connection.request(subject, "", { timeout: PATIENCE_MS })).string();
  equal("a service under another subject", await ask(bob, "clock"), "noon");
  equal("a private service", await ask(bob, "private.work"), "done");
  equal("again", await ask(bob, "clock"), "noon");
  const found = [];
  const parts = await bob.requestMany("parts", "", { strategy: "count", maxMessages: 3, maxWait: PATIENCE_MS });
  for await (const part of parts) found.push(part.string());
  equal("several answers", found, ["1", "2", "3"]);
  for (const subject of ["time.now", "clock", "private.work"]) {
    const error = await refusal(subject, carol.request(subject, "", { timeout: PATIENCE_MS }));
    truth(`nobody serves ${subject} where it is not imported`, error.isNoResponders?.(), error);
  }
}

async function mappings() {
  const MESSAGES = 400;
  const connection = await connect();
  const subscription = connection.subscribe("new.*");
  const old = connection.subscribe("old.*");
  connection.publish("old.one", "1");
  const message = await next("a message", subscription);
  equal("a mapped subject", [message.subject, message.string()], ["new.one", "1"]);
  equal("instead of the old one", old.getReceived(), 0);
  const swapped = connection.subscribe("swapped.>");
  connection.publish("swap.a.b", "2");
  equal("tokens in another order", (await next("a message", swapped)).subject, "swapped.b.a");
  const shares = ["weighed.a", "weighed.b"].map((subject) => connection.subscribe(subject));
  for (let number = 0; number < MESSAGES; number++) connection.publish("weighed", "x");
  await connection.flush();
  const counts = shares.map((share) => share.getReceived());
  equal("weights lose nothing", counts[0] + counts[1], MESSAGES);
  truth("both get their share", Math.min(...counts) > MESSAGES / 4, counts);
  connection.subscribe("new.service", { callback: (_, request) => request.respond("yes") });
  await connection.flush();
  const answer = await connection.request("old.service", "", { timeout: PATIENCE_MS });
  equal("a mapped request", answer.string(), "yes");
}

async function userInfo() {
  const connection = await connect();
  const answer = await soon("an answer", connection.request("$SYS.REQ.USER.INFO", "", { timeout: PATIENCE_MS }));
  const { data } = answer.json();
  equal("who one is", data.account, "$G");
  ok("a request about oneself");
}

export const access = {
  token,
  user,
  nkey,
  no_auth_user: noAuthUser,
  permissions,
  allow_responses: allowResponses,
  accounts,
  account_streams: accountStreams,
  account_services: accountServices,
  mappings,
  user_info: userInfo,
};
