//! Pictures and voice memos that not everybody can show or play: from the fake phone to `GET /v1/files`, and back. A real
//! server, the real link, the real ledger, and stand-ins for the Mac's programs.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod inbound;
mod outbound;
mod rig;
mod trouble;
