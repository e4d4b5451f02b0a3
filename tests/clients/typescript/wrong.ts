// Calls that are wrong. `@ts-expect-error` is itself an error where the next line has none: see run.py.

import createClient from "openapi-fetch";
import type { components, paths } from "./programs.js";
import type { paths as OperatorPaths } from "./operator.js";
import type { paths as SimulatorPaths } from "./simulator.js";

const programs = createClient<paths>();
const operator = createClient<OperatorPaths>();
const phones = createClient<SimulatorPaths>();
const chat = { from: "+15550100001", to: "+15550100002" };

export async function calls(message: components["schemas"]["Message"]) {
  // @ts-expect-error no such path
  programs.GET("/v1/line");
  // @ts-expect-error no such method
  programs.PUT("/v1/messages", { body: { ...chat, text: "x" } });
  // @ts-expect-error another API
  programs.GET("/admin/v1/keys");
  // @ts-expect-error no parameters
  programs.GET("/v1/messages");
  // @ts-expect-error to is missing
  programs.GET("/v1/messages", { params: { query: { from: "+15550100001" } } });
  // @ts-expect-error limit is a number
  programs.GET("/v1/messages", { params: { query: { ...chat, limit: "1" } } });
  // @ts-expect-error no such event
  programs.GET("/v1/events", { params: { query: { event: ["message.read"] } } });
  // @ts-expect-error no such status
  programs.GET("/v1/deliveries", { params: { query: { status: "pending" } } });
  // @ts-expect-error no body
  programs.POST("/v1/messages");
  // @ts-expect-error neither text nor file
  programs.POST("/v1/messages", { body: chat });
  // @ts-expect-error no text
  programs.POST("/v1/messages", { body: { ...chat, text: null } });
  // @ts-expect-error no such field
  programs.POST("/v1/messages", { body: { ...chat, txt: "x" } });
  // @ts-expect-error from is missing
  programs.POST("/v1/messages", { body: { to: "+15550100002", text: "x" } });
  // @ts-expect-error a handle is a text
  programs.POST("/v1/messages", { body: { from: "+15550100001", to: 15550100002, text: "x" } });
  // @ts-expect-error attachments is a list
  programs.POST("/v1/messages", { body: { ...chat, attachments: "file_x" } });
  // @ts-expect-error the key is a text
  programs.POST("/v1/messages", { body: { ...chat, text: "x" }, params: { header: { "Idempotency-Key": 1 } } });
  // @ts-expect-error no memo
  programs.POST("/v1/audio-messages", { body: chat });
  // @ts-expect-error on or off
  programs.POST("/v1/typing", { body: { ...chat, state: "maybe" } });
  // @ts-expect-error a type is missing
  programs.POST("/v1/reactions", { body: { ...chat, message_id: "x" } });
  // @ts-expect-error no such event
  programs.POST("/v1/webhooks", { body: { from: "", url: "https://x.example", events: ["message.recieved"] } });
  // @ts-expect-error events is a list
  programs.POST("/v1/webhooks", { body: { from: "", url: "https://x.example", events: "message.sent" } });
  // @ts-expect-error url is missing
  programs.POST("/v1/webhooks", { body: { from: "", events: ["message.sent"] } });
  // @ts-expect-error id is missing
  programs.DELETE("/v1/webhooks", { body: {} });
  // @ts-expect-error since is a number
  programs.POST("/v1/webhooks/replay", { body: { id: "wh_x", since: "yesterday" } });
  // @ts-expect-error may be null
  message.text.toUpperCase();
  // @ts-expect-error no such field
  message.subject;
  const { data, error } = await programs.GET("/v1/lines");
  // @ts-expect-error may be an error
  data.data;
  // @ts-expect-error no such code
  error?.error.code === "invalid_key";
  // @ts-expect-error not a body
  operator.POST("/admin/v1/accounts", { body: "Acme" });
  // @ts-expect-error all, or a list
  operator.POST("/admin/v1/keys", { body: { name: "x", scopes: "some" } });
  // @ts-expect-error no such scope
  operator.POST("/admin/v1/keys", { body: { name: "x", scopes: ["messages:delete"] } });
  // @ts-expect-error no such driver
  operator.POST("/admin/v1/lines", { body: { account_id: "acc_x", handle: "+15550100001", driver: "twilio" } });
  // @ts-expect-error from whom
  phones.POST("/simulator/v1/messages", { body: { line: "+15550100001", text: "x" } });
  // @ts-expect-error neither text nor file
  phones.POST("/simulator/v1/messages", { body: { line: "+15550100001", from: "+15550100002" } });
  // @ts-expect-error no text
  phones.POST("/simulator/v1/messages/edit", { body: { guid: "x" } });
  // @ts-expect-error no such mode
  phones.POST("/simulator/v1/faults", { body: { line: "+15550100001", mode: "tired" } });
}
