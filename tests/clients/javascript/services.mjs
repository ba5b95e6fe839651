// Services that can be discovered, with their figures.

import { ServiceError, Svcm } from "@nats-io/services";

import { connect, equal, ok, PATIENCE_MS, refusal, soon, truth } from "./checks.mjs";

async function discovered(answers) {
  const found = [];
  for await (const answer of await answers) found.push(answer);
  return found;
}

async function run() {
  const [server, client] = [await connect(), await connect()];
  const service = await new Svcm(server).add({ name: "adder", version: "1.2.3", description: "adds numbers" });
  service.addGroup("math").addEndpoint("add", (error, request) => {
    const numbers = request.json();
    if (!Array.isArray(numbers)) return request.respondError(400, "no numbers");
    return request.respond(JSON.stringify(numbers.reduce((sum, number) => sum + number, 0)));
  });
  const second = await new Svcm(server).add({ name: "adder", version: "1.2.3" });
  await server.flush();

  const services = new Svcm(client).client({ strategy: "stall", maxWait: PATIENCE_MS, stall: 2_000 });
  const pings = await soon("pings", discovered(services.ping("adder")));
  equal("every instance answers a ping", pings.map((one) => one.id).sort(), [service.info().id, second.info().id].sort());
  equal("every service too", (await soon("pings", discovered(services.ping()))).length, 2);
  const [info] = await soon("info", discovered(services.info("adder", service.info().id)));
  equal("its info", [info.name, info.version, info.description], ["adder", "1.2.3", "adds numbers"]);
  equal("its endpoints", info.endpoints.map((one) => [one.name, one.subject, one.queue_group]), [["add", "math.add", "q"]]);

  for (let number = 0; number < 10; number++) {
    const answer = await client.request("math.add", JSON.stringify([number, 1]), { timeout: PATIENCE_MS });
    if (answer.json() !== number + 1) throw new Error(answer.string());
  }
  ok("ten requests");
  const wrong = await client.request("math.add", "{}", { timeout: PATIENCE_MS });
  equal("an error", ServiceError.toServiceError(wrong)?.code, 400);
  const [stats] = await soon("stats", discovered(services.stats("adder", service.info().id)));
  equal("its figures", stats.endpoints[0].num_requests, 11);
  // The library measures in whole milliseconds: eleven quick answers may take none.
  truth("its times", stats.endpoints[0].processing_time >= 0);

  await service.stop();
  await server.flush();
  const error = await refusal("stopped", client.request("math.add", "[]", { timeout: PATIENCE_MS }));
  truth("a service that was stopped has no responders", error.isNoResponders?.(), error);
  equal("the other instance is left", (await soon("pings", discovered(services.ping("adder")))).length, 1);
}

export const services = { services: run };
