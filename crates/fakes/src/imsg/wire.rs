//! What the child and the Mac say to each other over a socket, a line each.
//!
//! The child begins with its arguments, [`hello`]. Then each line of its stdin goes out behind [`INPUT`], and the end of
//! stdin is [`END`]: a connection that ends without it is a child that was killed. The Mac answers with lines for stdout
//! and stderr, and with an exit code.

use serde_json::{Value, json};

/// The variable that names the address of a child's Mac.
pub const VARIABLE: &str = "FAKE_IMSG";
/// A line of stdin.
pub const INPUT: u8 = b'i';
/// The end of stdin.
pub const END: u8 = b'z';
/// A line for stdout.
pub const OUT: u8 = b'o';
/// A line for stderr.
pub const ERR: u8 = b'e';
/// The exit code.
pub const EXIT: u8 = b'x';

/// Another number is a program that was built from other source.
const VERSION: u64 = 1;

/// The first line of a child.
pub fn hello(args: &[String], version: Option<&str>) -> String {
    json!({ "wire": VERSION, "args": args, "version": version }).to_string()
}

/// The arguments of a child and its `IMSG_VERSION`.
pub(crate) fn read_hello(line: &str) -> Option<(Vec<String>, Option<String>)> {
    let hello = serde_json::from_str::<Value>(line).ok()?;
    if hello["wire"] != VERSION {
        return None;
    }
    let args = hello["args"].as_array()?.iter().map(|arg| arg.as_str().map(str::to_owned));
    Some((args.collect::<Option<_>>()?, hello["version"].as_str().map(str::to_owned)))
}
