//! The server from outside: a real server, the real client, a real receiver.

mod circle;
