// The README's tour and every other operation, with openapi-fetch and the types that openapi-typescript makes.
//
// run.py makes `programs.ts`, `operator.ts` and `simulator.ts` beside this file, compiles all of it with
// `tsc --strict`, and runs it against a development server.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import createClient from "openapi-fetch";
import { Webhook } from "standardwebhooks";
import type { components, paths } from "./programs.js";
import type { paths as OperatorPaths } from "./operator.js";
import type { paths as SimulatorPaths } from "./simulator.js";

function setting(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

const [baseUrl, line] = [setting("URL"), setting("LINE")];
const contact = "+15550100002";
const png = Buffer.from("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1");
const memo = Buffer.concat([Buffer.from("\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0", "latin1"), Buffer.alloc(64)]);
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const programs = createClient<paths>({ baseUrl, headers: bearer(setting("KEY")) });
const operator = createClient<OperatorPaths>({ baseUrl, headers: bearer(setting("OPERATOR")) });
const phones = createClient<SimulatorPaths>({ baseUrl, headers: bearer(setting("OPERATOR")) });

/** The data of an answer, which must have some: an error has none. */
async function expect<T>(answer: Promise<{ data?: T; error?: unknown }>): Promise<NonNullable<T>> {
  const { data, error } = await answer;
  assert.ok(data !== undefined && data !== null, JSON.stringify(error));
  return data;
}

/** What there is to see, once it is there. */
async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("it did not come");
}

/** The outbox item, once it is sent. */
async function sent(id: string) {
  return eventually(async () => {
    const item = await expect(programs.GET("/v1/outbox", { params: { query: { id } } }));
    assert.notEqual(item.status, "failed");
    return item.status === "sent" ? item : undefined;
  });
}

const deliveries: { body: string; headers: IncomingHttpHeaders }[] = [];
const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  deliveries.push({ body: Buffer.concat(chunks).toString(), headers: request.headers });
  response.writeHead(204).end();
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const hook = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;

/** The next delivery, verified. */
async function delivered(secret: string) {
  const { body, headers } = await eventually(async () => deliveries.shift());
  const verified = new Webhook(secret).verify(body, headers as Record<string, string>);
  return verified as components["schemas"]["DeliveryBody"];
}

// As in the README.
const lines = await expect(programs.GET("/v1/lines"));
assert.ok(lines.data.some((one) => one.handle === line) && lines.has_more === false);

const texted = await expect(
  phones.POST("/simulator/v1/messages", { body: { line, from: contact, text: "Is the shop open?" } }),
);
const ofChat = { from: line, to: contact };
const newest = await expect(programs.GET("/v1/messages", { params: { query: { ...ofChat, limit: 1 } } }));
const message = newest.data[0];
assert.ok(message && message.id === texted.message_id && message.text === "Is the shop open?");
const chats = await expect(programs.GET("/v1/chats", { params: { query: { from: line } } }));
assert.equal(chats.data[0]?.identifier, contact);

const webhook = await expect(
  programs.POST("/v1/webhooks", { body: { from: line, url: hook, events: ["message.received", "message.sent"] } }),
);
await expect(phones.POST("/simulator/v1/messages", { body: { line, from: contact, text: "Hello?" } }));
const received = await delivered(webhook.secret);
assert.ok(received.event === "message.received" && received.data.text === "Hello?");

const answer = { ...ofChat, text: "Until six.", reply_to: message.id };
const header = { "Idempotency-Key": randomUUID() };
const item = await expect(programs.POST("/v1/messages", { body: answer, params: { header } }));
const repeated = await programs.POST("/v1/messages", { body: answer, params: { header } });
assert.equal(repeated.data?.id, item.id);
assert.equal(repeated.response.headers.get("idempotent-replayed"), "true");
const done = await sent(item.id);
assert.equal(done.payload.text, "Until six.");
const told = await delivered(webhook.secret);
assert.ok(told.event === "message.sent" && told.data.id === done.message_id);
const ofContact = { params: { query: { handle: contact } } };
const phone = await expect(phones.GET("/simulator/v1/phones", ofContact));
assert.deepEqual(phone.messages.map((one) => one.text), ["Until six."]);

const stranger = await programs.POST("/v1/messages", {
  body: { from: line, to: "+15550100003", text: "Hello stranger" },
});
assert.equal(stranger.error?.error.code, "contact_has_not_messaged");

/** The bytes go by a serializer of one's own, with their type: the generator has no type for bytes. */
async function upload(bytes: Buffer, type: string, name: string) {
  return expect(
    programs.POST("/v1/files", {
      body: "",
      bodySerializer: () => bytes,
      headers: { "Content-Type": type },
      params: { header: { "X-Filename": name } },
    }),
  );
}
const file = await upload(png, "image/png", "photo.png");
assert.deepEqual([file.mime_type, file.filename, file.size], ["image/png", "photo.png", png.length]);
const found = await programs.GET("/v1/files", { params: { query: { id: file.id } }, redirect: "manual" });
assert.equal(found.response.status, 302);
const location = new URL(found.response.headers.get("location") ?? "");
const signed = (name: string) => location.searchParams.get(name) ?? "";
const bytes = await expect(
  createClient<paths>({ baseUrl }).GET("/files/download", {
    params: { query: { id: signed("id"), expires: signed("expires"), signature: signed("signature") } },
    parseAs: "arrayBuffer",
  }),
);
assert.deepEqual(Buffer.from(bytes), png);
const photo = await expect(programs.POST("/v1/messages", { body: { ...ofChat, attachments: [file.id] } }));
await sent(photo.id);

const pending = await expect(programs.POST("/v1/sandbox"));
assert.ok(pending.activation_code);
await expect(
  phones.POST("/simulator/v1/messages", {
    body: { line: setting("SANDBOX"), from: "+15550100009", text: pending.activation_code },
  }),
);
const active = await expect(programs.GET("/v1/sandbox"));
assert.deepEqual([active.status, active.contact_identifier], ["active", "+15550100009"]);
assert.equal((await expect(programs.DELETE("/v1/sandbox"))).contact_identifier, null);

// What can be done with a webhook and its deliveries.
const { id } = webhook;
const listed = await expect(programs.GET("/v1/webhooks", { params: { query: { from: "" } } }));
assert.deepEqual(listed.data.map((one) => one.id), [id]);
const changed = await expect(programs.PATCH("/v1/webhooks", { body: { id, events: ["message.received"] } }));
assert.deepEqual(changed.events, ["message.received"]);
const tried = await expect(programs.POST("/v1/webhooks/test", { body: { id } }));
assert.ok(tried.ok && tried.status === 204);
const rotated = await expect(programs.POST("/v1/webhooks/rotate", { body: { id } }));
assert.ok(rotated.secret.startsWith("whsec_"));
const replay = await expect(
  programs.POST("/v1/webhooks/replay", { body: { id, since: 0, include_delivered: true } }),
);
const replayed = await eventually(async () => {
  const seen = await expect(programs.GET("/v1/webhooks/replay", { params: { query: { id: replay.id } } }));
  return seen.status === "done" ? seen : undefined;
});
assert.ok(replayed.queued > 0);
const query = { webhook_id: id, event: "message.received" as const };
const delivery = await eventually(async () => {
  const page = await expect(programs.GET("/v1/deliveries", { params: { query } }));
  return page.data.every((one) => one.status === "delivered") ? page.data[0] : undefined;
});
assert.equal(delivery.attempts[0]?.status, 204);
const retried = await expect(programs.POST("/v1/deliveries/retry", { body: { id: delivery.id } }));
assert.equal(retried.status, "due");
assert.ok((await expect(programs.DELETE("/v1/webhooks", { body: { id } }))).deleted);
server.close();

// Every other operation for programs.
const all = await expect(programs.GET("/v1/messages", { params: { query: ofChat } }));
const inbound = all.data.find((one) => !one.is_from_me);
assert.ok(inbound);
const voice = await upload(memo, "audio/mp4", "memo.m4a");
const items = [
  await expect(programs.POST("/v1/audio-messages", { body: { ...ofChat, audio_message: voice.id } })),
  await expect(programs.POST("/v1/reactions", { body: { ...ofChat, message_id: inbound.id, type: "love" } })),
  await expect(programs.POST("/v1/reactions", { body: { ...ofChat, message_id: inbound.guid, type: "🎉" } })),
  await expect(programs.POST("/v1/typing", { body: { ...ofChat, state: "on" } })),
  await expect(programs.POST("/v1/receipts", { body: ofChat })),
];
for (const one of items) await sent(one.id);
const reactions = await expect(
  programs.GET("/v1/reactions", { params: { query: { message_id: inbound.id } } }),
);
assert.ok(reactions.data.some((one) => one.added && one.type === "🎉"));
await expect(programs.GET("/v1/typing", { params: { query: ofChat } }));
await expect(programs.GET("/v1/receipts", { params: { query: ofChat } }));
const stream = await expect(
  programs.GET("/v1/events", { params: { query: { since: 0, event: ["message.received"] } }, parseAs: "stream" }),
);
const reader = stream.getReader();
let head = "";
while (!head.includes("event: message.received")) {
  const { value, done: ended } = await reader.read();
  assert.ok(!ended);
  head += Buffer.from(value).toString();
}
await reader.cancel();
assert.equal((await expect(programs.GET("/v1/openapi.json"))).openapi, "3.1.0");

// Every operation of the operator.
const acme = await expect(operator.POST("/admin/v1/accounts", { body: { name: "Acme" } }));
assert.ok((await expect(operator.GET("/admin/v1/accounts"))).data.some((one) => one.id === acme.id));
const handle = "+15550100043";
const theirs = await expect(
  operator.POST("/admin/v1/lines", { body: { account_id: acme.id, handle, driver: "simulator" } }),
);
assert.ok((await expect(operator.GET("/admin/v1/lines"))).data.some((one) => one.id === theirs.id));
const key = await expect(
  operator.POST("/admin/v1/keys", { body: { account_id: acme.id, name: "all", scopes: "all" } }),
);
await expect(
  operator.POST("/admin/v1/keys", {
    body: { account_id: acme.id, name: "some", scopes: ["lines:read"], line_ids: [theirs.id] },
  }),
);
const other = createClient<paths>({ baseUrl, headers: bearer(key.key) });
assert.ok((await expect(other.GET("/v1/lines"))).data.some((one) => one.handle === handle));
assert.ok((await expect(operator.POST("/admin/v1/keys/revoke", { body: { id: key.id } }))).revoked_at);
assert.ok((await expect(operator.GET("/admin/v1/keys"))).data.length >= 2);
assert.equal((await other.GET("/v1/lines")).error?.error.code, "invalid_api_key");
const bridge = await expect(operator.POST("/admin/v1/bridges", { body: { name: "other mac", driver: "imsg" } }));
assert.ok(bridge.token && (await expect(operator.GET("/admin/v1/bridges"))).data.length > 0);
const standby = await expect(operator.POST("/admin/v1/bridges", { body: { name: "third mac", driver: "imsg" } }));
const real = await expect(
  operator.POST("/admin/v1/lines", {
    body: { account_id: acme.id, handle: "+15550100045", driver: "imsg", bridge_id: bridge.id },
  }),
);
const stoodBy = await expect(
  operator.POST("/admin/v1/lines/standby", { body: { id: real.id, bridge_id: standby.id } }),
);
assert.deepEqual([stoodBy.bridge_id, stoodBy.standby_bridge_id], [bridge.id, standby.id]);
const takenOver = await expect(operator.POST("/admin/v1/lines/take-over", { body: { id: real.id, force: true } }));
assert.deepEqual([takenOver.bridge_id, takenOver.standby_bridge_id], [standby.id, bridge.id]);
const limited = await expect(operator.PATCH("/admin/v1/lines", { body: { id: real.id, loop_limit: "10/60" } }));
assert.equal(limited.loop_limit, "10/60");
assert.ok((await expect(operator.POST("/admin/v1/bridges/revoke", { body: { id: bridge.id } }))).revoked_at);

// Every other operation of the simulator.
const attachments = [{ data: "JVBERi0xLjcK", mime_type: "application/pdf", filename: "menu.pdf" }];
const menu = await expect(phones.POST("/simulator/v1/messages", { body: { line, from: contact, attachments } }));
const typo = await expect(phones.POST("/simulator/v1/messages", { body: { line, from: contact, text: "Tee" } }));
const edited = await expect(
  phones.POST("/simulator/v1/messages/edit", { body: { guid: typo.guid, text: "Tea" } }),
);
assert.equal(edited.message_id, typo.message_id);
assert.ok(menu.message_id);
await expect(phones.POST("/simulator/v1/messages/unsend", { body: { message_id: menu.message_id } }));
const guid = (await expect(phones.GET("/simulator/v1/phones", ofContact))).messages[0]?.guid;
assert.ok(guid);
await expect(
  phones.POST("/simulator/v1/reactions", { body: { line, from: contact, message_guid: guid, type: "👍" } }),
);
assert.ok((await expect(phones.POST("/simulator/v1/typing", { body: { line, from: contact } }))).is_typing);
assert.ok((await expect(phones.POST("/simulator/v1/receipts", { body: { line, from: contact } }))).read);
await expect(phones.POST("/simulator/v1/groups", { body: { line, participants: [contact, "+15550100003"] } }));
const fault = await expect(phones.POST("/simulator/v1/faults", { body: { line, mode: "slow", ms: 1, count: 1 } }));
assert.equal(fault.mode, "slow");
await expect(phones.POST("/simulator/v1/lines/capabilities", { body: { line, advanced_features: true } }));
console.log("every operation works");
