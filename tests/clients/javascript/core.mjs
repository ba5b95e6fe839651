// Connecting, publish, subscribe, queue groups, requests, headers, drain.

import { errors, headers } from "@nats-io/nats-core";

import { arguments_, connect, equal, fail, next, ok, PATIENCE_MS, refusal, soon, status, truth } from "./checks.mjs";

async function pair() {
  return [await connect({ name: "publisher" }), await connect({ name: "subscriber" })];
}

async function connecting() {
  const connection = await connect({ name: "named", verbose: true, pedantic: true });
  const { info } = connection;
  equal("the version that clients decide by", info.version, "2.15.2");
  equal("headers are supported", info.headers, true);
  equal("a payload may have a mebibyte", info.max_payload, 1_048_576);
  equal("no credentials are asked for", info.auth_required ?? false, false);
  equal("no TLS is asked for", info.tls_required ?? false, false);
  equal("the client's address", info.client_ip, "127.0.0.1");
  truth("a client id", info.client_id > 0);
  equal("the server that it is at", connection.getServer(), arguments_.address);
  truth("a round trip", (await connection.rtt()) >= 0);
  const other = await connect({ servers: ["127.0.0.1:1", arguments_.address], noRandomize: true });
  equal("the second server is taken when the first is not there", other.getServer(), arguments_.address);
  await other.close();
  equal("closed", other.isClosed(), true);
  const error = await refusal("nobody listens", connect({ servers: "127.0.0.1:1" }));
  truth("a connection refused is said", error instanceof errors.ConnectionError, error);
}

async function publish() {
  const MESSAGES = 5_000;
  const [publisher, subscriber] = await pair();
  const subscription = subscriber.subscribe("orders.new");
  await subscriber.flush();
  for (let number = 0; number < MESSAGES; number++) publisher.publish("orders.new", `${number}`);
  await publisher.flush();
  ok("flush");
  for (let number = 0; number < MESSAGES; number++) {
    const message = await next("a message", subscription);
    if (message.string() !== `${number}`) fail("order", `${message.string()} in place of ${number}`);
  }
  ok("publish and subscribe, in order");
  publisher.publish("orders.new", undefined, { reply: "answers.here" });
  const message = await next("a message", subscription);
  equal("an empty payload", message.data.length, 0);
  equal("a reply subject", message.reply, "answers.here");
  const called = new Promise((resolve) => {
    subscriber.subscribe("by.callback", { callback: (error, one) => resolve(error ?? one.json()) });
  });
  await subscriber.flush();
  publisher.publish("by.callback", JSON.stringify({ one: 1 }));
  equal("a callback, with JSON", await soon("a callback", called), { one: 1 });
  const binary = Uint8Array.from({ length: 256 }, (_, index) => index);
  publisher.publish("orders.new", binary);
  equal("any bytes", [...(await next("a message", subscription)).data], [...binary]);
  equal("counted", publisher.stats().outMsgs, MESSAGES + 3);
}

async function wildcards() {
  const [publisher, subscriber] = await pair();
  const star = subscriber.subscribe("weather.*.today");
  const rest = subscriber.subscribe("weather.>");
  await subscriber.flush();
  const subjects = ["weather.north.today", "weather.north", "weather.north.today.late", "weather"];
  for (const subject of subjects) publisher.publish(subject);
  await publisher.flush();
  await subscriber.flush();
  await star.drain();
  await rest.drain();
  const taken = async (subscription) => {
    const found = [];
    for await (const message of subscription) found.push(message.subject);
    return found;
  };
  equal("a star", await soon("all", taken(star)), subjects.slice(0, 1));
  equal("the rest", await soon("all", taken(rest)), subjects.slice(0, 3));
}

async function queueGroups() {
  const MESSAGES = 300;
  const [publisher, subscriber] = await pair();
  const first = subscriber.subscribe("jobs.*", { queue: "workers" });
  const second = publisher.subscribe("jobs.>", { queue: "workers" });
  const others = publisher.subscribe("jobs.>", { queue: "watchers" });
  await Promise.all([subscriber.flush(), publisher.flush()]);
  for (let number = 0; number < MESSAGES; number++) publisher.publish("jobs.one", `${number}`);
  await publisher.flush();
  await subscriber.flush();
  await Promise.all([first.drain(), second.drain(), others.drain()]);
  const counts = [first, second, others].map((subscription) => subscription.getReceived());
  equal("a queue group gets each message once", counts[0] + counts[1], MESSAGES);
  truth("both members work", Math.min(counts[0], counts[1]) > MESSAGES / 5, counts);
  equal("another group gets each too", counts[2], MESSAGES);
}

async function unsubscribe() {
  const [publisher, subscriber] = await pair();
  const limited = subscriber.subscribe("limited", { max: 3 });
  const ended = subscriber.subscribe("limited");
  ended.unsubscribe();
  await subscriber.flush();
  for (let number = 0; number < 10; number++) publisher.publish("limited", "x");
  await publisher.flush();
  let received = 0;
  const all = async () => {
    for await (const _ of limited) received += 1;
  };
  await soon("the end of the subscription", all());
  equal("unsubscribe after three messages", received, 3);
  equal("unsubscribe at once", ended.getReceived(), 0);
}

async function headersArrive() {
  const [publisher, subscriber] = await pair();
  const subscription = subscriber.subscribe("with.headers");
  await subscriber.flush();
  const sent = headers();
  sent.append("Key", "one");
  sent.append("Key", "two");
  sent.set("lower-case", "value with blanks");
  publisher.publish("with.headers", "body", { headers: sent });
  const message = await next("a message", subscription);
  equal("several values", message.headers.values("Key"), ["one", "two"]);
  equal("names keep their letters", message.headers.get("lower-case"), "value with blanks");
  equal("nothing is added", message.headers.keys().sort(), ["Key", "lower-case"]);
  equal("beside their payload", message.string(), "body");
  publisher.publish("with.headers", undefined, { headers: sent });
  equal("without a payload", (await next("a message", subscription)).data.length, 0);
}

async function requests() {
  const [requester, responder] = await pair();
  responder.subscribe("service.echo", {
    queue: "q",
    callback: (_, message) => message.respond(message.data, { headers: message.headers }),
  });
  await responder.flush();
  for (let number = 0; number < 200; number++) {
    const answer = await requester.request("service.echo", `request ${number}`, { timeout: PATIENCE_MS });
    if (answer.string() !== `request ${number}`) fail("request", answer.string());
  }
  ok("200 requests and answers");
  const many = Array.from({ length: 200 }, (_, number) =>
    requester.request("service.echo", `${number}`, { timeout: PATIENCE_MS }));
  const answers = await Promise.all(many);
  truth("200 requests at a time", answers.every((answer, number) => answer.string() === `${number}`));
  const sent = headers();
  sent.set("Trace", "1");
  const answer = await requester.request("service.echo", "h", { headers: sent, timeout: PATIENCE_MS });
  equal("a request with headers", [answer.string(), answer.headers.get("Trace")], ["h", "1"]);
  const alone = await requester.request("service.echo", "own inbox", { noMux: true, timeout: PATIENCE_MS });
  equal("a request with an inbox of its own", alone.string(), "own inbox");
  const prefixed = await connect({ inboxPrefix: "_MINE" });
  const reply = new Promise((resolve) => {
    responder.subscribe("which.inbox", { callback: (_, message) => resolve(message.reply) && message.respond() });
  });
  await responder.flush();
  prefixed.request("which.inbox").catch(() => {});
  truth("inboxes with a prefix", (await soon("a reply subject", reply)).startsWith("_MINE."));
  responder.subscribe("silent", { callback: () => {} });
  await responder.flush();
  const error = await refusal("a late answer", requester.request("silent", "", { timeout: 100 }));
  truth("an answer that does not come in time", error instanceof errors.TimeoutError, error);
}

async function requestMany() {
  const [requester, responder] = await pair();
  for (const name of ["a", "b", "c"]) {
    responder.subscribe("who.is.there", { callback: (_, message) => message.respond(name) });
  }
  await responder.flush();
  const gather = async (options) => {
    const found = [];
    const answers = await requester.requestMany("who.is.there", "", { maxWait: PATIENCE_MS, ...options });
    for await (const answer of answers) found.push(answer.string());
    return found.sort();
  };
  equal("a known number of answers", await gather({ strategy: "count", maxMessages: 3 }), ["a", "b", "c"]);
  equal("until no more come", await gather({ strategy: "stall", stall: 3_000 }), ["a", "b", "c"]);
  equal("until the time is over", await gather({ strategy: "timer", maxWait: 5_000 }), ["a", "b", "c"]);
  responder.subscribe("parts", {
    callback: (_, message) => {
      for (const part of ["1", "2", ""]) message.respond(part);
    },
  });
  await responder.flush();
  const parts = [];
  const answers = await requester.requestMany("parts", "", { strategy: "sentinel", maxWait: PATIENCE_MS });
  for await (const answer of answers) parts.push(answer.string());
  equal("until an empty one comes", parts, ["1", "2", ""]);
}

async function noResponders() {
  const connection = await connect();
  const error = await refusal("nobody is there", connection.request("nobody.here", "", { timeout: PATIENCE_MS }));
  truth("no responders", error instanceof errors.RequestError && error.isNoResponders(), error);
  const alone = await refusal("nobody", connection.request("nobody", "", { noMux: true, timeout: PATIENCE_MS }));
  truth("no responders, by an inbox of its own", alone.isNoResponders?.() ?? alone.cause !== undefined, alone);
  const subscription = connection.subscribe("answers.here");
  connection.publish("nobody.here", "", { reply: "answers.here" });
  const message = await next("the notice", subscription);
  equal("the notice", [message.headers.code, message.data.length], [503, 0]);
}

async function payloadLimit() {
  const [publisher, subscriber] = await pair();
  const limit = publisher.info.max_payload;
  equal("the configured limit", limit, 4096);
  const subscription = subscriber.subscribe("large");
  await subscriber.flush();
  publisher.publish("large", new Uint8Array(limit));
  equal("the largest payload", (await next("a message", subscription)).data.length, limit);
  let error;
  try {
    publisher.publish("large", new Uint8Array(limit + 1));
  } catch (thrown) {
    error = thrown;
  }
  truth("one byte more", `${error}`.includes("max_payload"), error);
  await publisher.flush();
  ok("the connection lives");
}

async function noEcho() {
  const connection = await connect({ noEcho: true });
  const own = connection.subscribe("echo");
  connection.publish("echo", "x");
  await connection.flush();
  await own.drain();
  equal("without echo nothing of one's own arrives", own.getReceived(), 0);
}

async function invalidSubject() {
  const connection = await connect({ pedantic: true });
  const told = status(connection, "the error", (one) => one.type === "error");
  connection.subscribe("a..b", { callback: () => {} });
  equal("an invalid subject is said", (await told).error.message.toLowerCase(), "invalid subject");
  await connection.flush();
  ok("the connection lives");
}

async function drain() {
  const MESSAGES = 1_000;
  const [publisher, subscriber] = await pair();
  let received = 0;
  const count = async (subscription) => {
    for await (const _ of subscription) received += 1;
  };
  const drained = subscriber.subscribe("drained");
  const other = subscriber.subscribe("drained.too");
  await subscriber.flush();
  for (let number = 0; number < MESSAGES; number++) {
    publisher.publish("drained", "x");
    publisher.publish("drained.too", "x");
  }
  await publisher.flush();
  await subscriber.flush();
  const first = count(drained);
  await drained.drain();
  await soon("the end of the drained subscription", first);
  equal("draining a subscription loses nothing", received, MESSAGES);
  received = 0;
  const second = count(other);
  await subscriber.drain();
  await soon("the end of the drained connection", second);
  equal("draining a connection loses nothing", received, MESSAGES);
  equal("it is closed then", subscriber.isClosed(), true);
}

async function slowConsumer() {
  const [publisher, subscriber] = await pair();
  const subscription = subscriber.subscribe("flood", { slow: 100 });
  const told = status(subscriber, "a word about the slow consumer", (one) => one.type === "slowConsumer");
  await subscriber.flush();
  for (let number = 0; number < 1_000; number++) publisher.publish("flood", "x");
  await publisher.flush();
  await subscriber.flush();
  let received = 0;
  for await (const _ of subscription) {
    received += 1;
    if (received === 1_000) break;
  }
  equal("it gets all of them", received, 1_000);
  truth("it is told that it is slow", (await told).pending > 100);
}

export const core = {
  connect: connecting,
  publish,
  wildcards,
  queue_groups: queueGroups,
  unsubscribe,
  headers: headersArrive,
  requests,
  request_many: requestMany,
  no_responders: noResponders,
  payload_limit: payloadLimit,
  no_echo: noEcho,
  invalid_subject: invalidSubject,
  drain,
  slow_consumer: slowConsumer,
};
