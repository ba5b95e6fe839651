// The lines that a scenario prints, and what all scenarios share.

import { isDeepStrictEqual } from "node:util";
import { createInterface } from "node:readline";

import { connect as connectNats } from "@nats-io/transport-node";

const [scenario, address, certificates] = process.argv.slice(2);

export const arguments_ = { scenario, address, certificates };

// How long an expected message may take, in milliseconds.
export const PATIENCE_MS = 60_000;

let held = 0;

export function heldCount() {
  return held;
}

// Ends the program.
export function fail(name, reason) {
  console.log(`FAILED ${name}: ${reason?.stack ?? reason}`);
  process.exit(1);
}

export function ok(name) {
  console.log(`ok ${name}`);
  held += 1;
}

export function equal(name, found, expected) {
  if (!isDeepStrictEqual(found, expected)) {
    fail(name, new Error(`found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`));
  }
  ok(name);
}

export function truth(name, condition, shown) {
  if (!condition) fail(name, new Error(`does not hold: ${shown ?? condition}`));
  ok(name);
}

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// Has something done to the server and waits until it is.
export async function ask(action) {
  console.log(`ask ${action}`);
  const line = await input.next();
  if (line.value !== "done") fail(`ask ${action}`, `was told ${line.value}`);
}

export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

// Waits for a promise, not for ever.
export async function soon(name, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} did not come`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// The library iterates over a subscription once.
const iterators = new WeakMap();

// The next message of a subscription, soon.
export async function next(name, subscription) {
  if (!iterators.has(subscription)) iterators.set(subscription, subscription[Symbol.asyncIterator]());
  const { value, done } = await soon(name, iterators.get(subscription).next());
  if (done) fail(name, "the subscription ended");
  return value;
}

// The error with which a promise is rejected.
export async function refusal(name, promise) {
  try {
    await soon(name, promise);
  } catch (error) {
    return error;
  }
  return fail(name, new Error("it was not refused"));
}

export function connect(options = {}) {
  return connectNats({ servers: address, timeout: PATIENCE_MS, ...options });
}

// The next status of a connection that fits, soon; statuses before it are skipped. Call it before what causes it.
export function status(connection, name, fits) {
  const statuses = connection.status();
  const search = async () => {
    for await (const one of statuses) {
      if (fits(one)) {
        statuses.stop?.();
        return one;
      }
    }
    throw new Error("the statuses ended");
  };
  return soon(name, search());
}

// Checks that a connection can be used.
export async function talks(name, connection) {
  const subscription = connection.subscribe("talk");
  connection.publish("talk", "x");
  equal(name, (await next(name, subscription)).string(), "x");
  subscription.unsubscribe();
}
