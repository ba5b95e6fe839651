// TLS in its forms.

import { errors } from "@nats-io/nats-core";

import { arguments_, connect, equal, refusal, status, talks, truth } from "./checks.mjs";

const file = (name) => `${arguments_.certificates}/${name}`;
const AUTHORITY = { caFile: file("ca.pem") };
const CLIENT = { ...AUTHORITY, certFile: file("client-cert.pem"), keyFile: file("client-key.pem") };
const GUEST = { ...AUTHORITY, certFile: file("guest-cert.pem"), keyFile: file("guest-key.pem") };
const STRANGER = { ...AUTHORITY, certFile: file("stranger-cert.pem"), keyFile: file("stranger-key.pem") };

async function letIn(name, tls) {
  const connection = await connect({ tls });
  await talks(name, connection);
  return connection;
}

async function refused(name, tls) {
  truth(name, (await refusal(name, connect({ tls, reconnect: false, timeout: 2_000 }))) instanceof Error);
}

async function tls() {
  const connection = await letIn("an authority that signed the server's certificate", AUTHORITY);
  equal("TLS is asked for", connection.info.tls_required, true);
  equal("no certificate is asked for", connection.info.tls_verify ?? false, false);
  await letIn("a certificate that nobody asks for", CLIENT);
  await refused("another authority", { caFile: file("stranger-ca.pem") });
  const large = "x".repeat(300_000);
  const subscription = connection.subscribe("large");
  connection.publish("large", large);
  for await (const message of subscription) {
    equal("a payload of many records", message.string() === large, true);
    break;
  }
}

async function tlsOptional() {
  await talks("without TLS", await connect({ tls: null }));
  const connection = await letIn("with TLS", AUTHORITY);
  equal("TLS is offered", connection.info.tls_available, true);
  equal("and not asked for", connection.info.tls_required ?? false, false);
}

async function tlsVerify() {
  const connection = await letIn("a certificate of the client", CLIENT);
  equal("it is asked for", connection.info.tls_verify, true);
  await refused("none", AUTHORITY);
  await refused("one that somebody else signed", STRANGER);
}

async function tlsFirst() {
  const connection = await letIn("TLS before anything else", { ...AUTHORITY, handshakeFirst: true });
  equal("TLS is asked for", connection.info.tls_required, true);
}

async function tlsSelfSigned() {
  await letIn("a certificate that is its own authority", { caFile: file("lone-cert.pem") });
  await refused("somebody else's authority", AUTHORITY);
}

async function tlsMap() {
  const connection = await letIn("a certificate as the user", CLIENT);
  const fits = (one) => one.type === "error" && one.error instanceof errors.PermissionViolationError;
  const told = status(connection, "a violation", fits);
  connection.publish("secret", "x");
  equal("with that user's permissions", (await told).error.subject, "secret");
  const error = await refusal("another user", connect({ tls: GUEST, reconnect: false }));
  truth("a certificate of nobody", error instanceof errors.AuthorizationError, error);
}

export const encrypted = {
  tls,
  tls_optional: tlsOptional,
  tls_verify: tlsVerify,
  tls_first: tlsFirst,
  tls_self_signed: tlsSelfSigned,
  tls_map: tlsMap,
};
