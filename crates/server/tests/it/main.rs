//! The server from outside: a real server, the real client, a real receiver.

mod call;
mod circle;
mod errors;
mod operations;
mod order;
mod world;
