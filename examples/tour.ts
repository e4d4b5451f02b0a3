// The tour of README.md in TypeScript, with fetch and standardwebhooks.
//
// Start `switchboard dev`, export URL, KEY, OPERATOR and LINE as the README sets them, then:
//
//     npm install standardwebhooks tsx
//     npx tsx examples/tour.ts

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";

const { URL: url = "", KEY = "", OPERATOR = "", LINE = "" } = process.env;
const CONTACT = "+15550100002";
const PNG = Uint8Array.from("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", (letter) => letter.charCodeAt(0));

interface Call {
  token?: string;
  query?: Record<string, string>;
  json?: object;
  bytes?: Uint8Array<ArrayBuffer>;
  headers?: Record<string, string>;
}

/** The answer; an error says what to do. */
async function call(method: string, path: string, { token = KEY, query, json, bytes, headers }: Call = {}): Promise<any> {
  const answer = await fetch(`${url}${path}?${new URLSearchParams(query)}`, {
    method,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json", ...headers },
    body: json ? JSON.stringify(json) : bytes,
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(`${body.error.code}: ${body.error.message}`);
  return body;
}

/** The simulator plays the contact. */
function contactTexts(text: string) {
  return call("POST", "/simulator/v1/messages", { token: OPERATOR, json: { line: LINE, from: CONTACT, text } });
}

async function waitUntilSent(item: { id: string }) {
  for (;;) {
    const found = await call("GET", "/v1/outbox", { query: { id: item.id } });
    if (["sent", "failed"].includes(found.status)) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function main() {
  // A contact texts your line, and your program sees it by asking.
  await contactTexts("Is the shop open?");
  const query = { from: LINE, to: CONTACT, limit: "1" };
  console.log("asked:", (await call("GET", "/v1/messages", { query })).data[0].text);

  // Or it is told, by a webhook: here a server takes what comes.
  let secret = "";
  const deliveries: any[] = [];
  const listener = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    try {
      // Refuses a wrong signature, and a timestamp that is more than five minutes off.
      deliveries.push(new Webhook(secret).verify(Buffer.concat(chunks), request.headers as Record<string, string>));
      response.writeHead(204).end();
    } catch {
      response.writeHead(401).end();
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const next = async () => {
    for (const end = Date.now() + 20_000; Date.now() < end; ) {
      if (deliveries.length) return deliveries.shift();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error("no delivery came");
  };
  const hook = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/hook`;
  const events = ["message.received", "message.sent"];
  const webhook = await call("POST", "/v1/webhooks", { json: { from: LINE, url: hook, events } });
  secret = webhook.secret;

  await contactTexts("Hello?");
  const received = await next();
  console.log("told:", received.event, received.data.text);

  // Your program answers. The key makes it safe to repeat.
  const answer = { from: LINE, to: received.data.sender, text: "Until six." };
  const item = await call("POST", "/v1/messages", { json: answer, headers: { "Idempotency-Key": randomUUID() } });
  console.log("answered:", (await waitUntilSent(item)).status);
  const sent = await next();
  console.log("told:", sent.event, sent.data.text);

  // The contact's phone shows it.
  const phone = await call("GET", "/simulator/v1/phones", { token: OPERATOR, query: { handle: CONTACT } });
  console.log("phone:", phone.messages.at(-1).text);

  // A mistake says what to do.
  await call("POST", "/v1/messages", { json: { from: LINE, to: "+15550100003", text: "Hello stranger" } }).catch(
    (error) => console.log("refused:", error.message),
  );

  // Send a picture: upload the bytes, then name the file.
  const headers = { "Content-Type": "image/png", "X-Filename": "photo.png" };
  const file = await call("POST", "/v1/files", { bytes: PNG, headers });
  const photo = await call("POST", "/v1/messages", { json: { from: LINE, to: CONTACT, attachments: [file.id] } });
  console.log("picture:", (await waitUntilSent(photo)).status);
  const bytes = Buffer.from(await (await fetch(file.url)).arrayBuffer());
  if (!bytes.equals(PNG)) throw new Error("the picture came back changed");

  await call("DELETE", "/v1/webhooks", { json: { id: webhook.id } });
  listener.close();
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
