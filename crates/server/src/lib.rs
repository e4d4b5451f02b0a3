//! The process: config, routes, handlers, webhook deliveries, the server side of the link.
//!
//! A request goes through four files: [`routes`] → `api/<noun>` → the `Store` trait → `sqlite/<noun>`.

mod api;
pub mod app;
mod auth_cache;
pub mod clock;
pub mod config;
mod deliver;
mod files;
mod guarded;
mod health;
mod hub;
mod jobs;
mod json;
mod limiter;
mod link;
mod listen;
mod metrics;
pub mod openapi;
mod operation;
mod outage;
mod publish;
mod quota;
mod requests;
pub mod routes;
mod ssrf;
mod stream;
mod supervise;
pub mod telemetry;
mod uncancelled;
mod webhook_client;
mod wrong_tokens;

pub use app::{App, Running, StartError};
pub use clock::SystemClock;
pub use config::Config;
pub use files::FilesError;
pub use ssrf::{Resolver, SystemResolver};
