// What users do with the nats.js library, as checks that run against a server.
//
// `node main.mjs SCENARIO ADDRESS CERTIFICATES` prints a line for each check and ends with code 0 when all of them
// held. Where a scenario needs something done to the server it prints "ask" and what, and waits for a line on its
// input that says that it is done.

import { access } from "./access.mjs";
import { arguments_, fail, heldCount } from "./checks.mjs";
import { core } from "./core.mjs";
import { encrypted } from "./encrypted.mjs";
import { lifecycle } from "./lifecycle.mjs";
import { services } from "./services.mjs";

const scenario = { ...access, ...core, ...encrypted, ...lifecycle, ...services }[arguments_.scenario];
if (!scenario) {
  console.error(`there is no scenario ${arguments_.scenario}`);
  process.exit(2);
}
try {
  await scenario();
} catch (error) {
  fail("unexpected", error);
}
console.log(`${heldCount()} checks held`);
process.exit(0);
