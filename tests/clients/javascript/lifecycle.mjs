// Reconnecting, and servers that announce their end.

import { errors } from "@nats-io/nats-core";

import { ask, connect, equal, next, PATIENCE_MS, refusal, status, talks, truth } from "./checks.mjs";

async function reconnect() {
  const connection = await connect({ reconnectTimeWait: 20, maxReconnectAttempts: -1 });
  const subscription = connection.subscribe("survives.*");
  const group = connection.subscribe("survives.*", { queue: "q" });
  await connection.flush();
  for (let round = 1; round <= 2; round++) {
    const down = status(connection, "the end of the connection", (one) => one.type === "disconnect");
    const up = status(connection, "the new connection", (one) => one.type === "reconnect");
    await ask("restart");
    await down;
    await up;
    connection.publish("survives.restart", `${round}`);
    const message = await next("a message after the restart", subscription);
    equal("a subscription survives a restart", message.string(), `${round}`);
    await next("a message for the group after the restart", group);
  }
  const error = await refusal("nobody is there", connection.request("nobody", "", { timeout: PATIENCE_MS }));
  truth("no responders after it", error instanceof errors.RequestError && error.isNoResponders(), error);
  const again = status(connection, "the connection made anew", (one) => one.type === "reconnect");
  await connection.reconnect();
  await again;
  await talks("a reconnect by one's own wish", connection);
}

async function lameDuck() {
  const connection = await connect({ reconnect: false });
  const told = status(connection, "the announcement", (one) => one.type === "ldm");
  // The announcement goes to clients that have had the answer to a PING.
  await connection.flush();
  await ask("lame-duck");
  await told;
  await talks("it is told, and works on meanwhile", connection);
  await connection.closed();
  equal("the end", connection.isClosed(), true);
}

export const lifecycle = { reconnect, lame_duck: lameDuck };
