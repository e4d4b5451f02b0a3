//! What exists so that a test can be short: a real server on port 0, a real receiver of
//! webhooks, a clock that is moved by hand, a judge of every answer,
//! and the invariants that are checked when a test ends.

mod clock;
pub mod judge;
mod logs;
pub mod receiver;
mod server;

pub use clock::TestClock;
pub use judge::judge;
pub use receiver::Receiver;
pub use server::{
    LINE, OPERATOR, Setup, Tenant, TestServer, eventually, eventually_within, is_on_postgres,
};
