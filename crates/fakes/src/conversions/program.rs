//! The programs themselves.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
    thread,
};

use super::{Behaviour, beside, jpeg_of, m4a_of, made::memo, memo_of};

/// What is to be done.
enum Task<'a> {
    Jpeg { from: &'a str, to: &'a str },
    M4a { from: &'a str, to: &'a str },
    Memo { from: &'a str, to: &'a str },
}

/// Does what the command line says, and answers the exit code.
pub fn act(args: &[String]) -> i32 {
    let [program, args @ ..] = args else { return 64 };
    let program = Path::new(program);
    if note(program, args).is_err() {
        return 71;
    }
    let behaviour = fs::read_to_string(beside(program, "behaviour")).unwrap_or_default();
    let behaviour = Behaviour::parse(&behaviour);
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let is_sips = program.file_name().is_some_and(|name| name == "sips");
    let task = match (is_sips, &*words) {
        (true, ["-s", "format", "jpeg", from, "--out", to]) => Task::Jpeg { from, to },
        (false, ["-f", "m4af", "-d", "aac", from, to]) => Task::M4a { from, to },
        (false, ["-f", "caff", "-d", "opus@24000", "-c", "1", from, to]) => Task::Memo { from, to },
        _ => {
            complain("Usage: see the manual");
            return 2;
        }
    };
    perform(&task, behaviour)
}

fn perform(task: &Task<'_>, behaviour: Behaviour) -> i32 {
    let (Task::Jpeg { from, to } | Task::M4a { from, to } | Task::Memo { from, to }) = task;
    // A name that begins with a dash is taken for an option.
    if from.starts_with('-') || to.starts_with('-') {
        complain("unknown option");
        return 2;
    }
    let Ok(bytes) = fs::read(from) else {
        complain("not a valid file - skipping");
        return 13;
    };
    let made = match (task, behaviour) {
        (_, Behaviour::Fails) => {
            complain("Error: the file can't be read ('typ?')");
            return 1;
        }
        (_, Behaviour::Hangs) => {
            let _ = fs::write(to, b"half");
            loop {
                thread::park();
            }
        }
        (_, Behaviour::WritesNothing) => return 0,
        (_, Behaviour::WritesEmpty) => Vec::new(),
        (_, Behaviour::WritesSomethingElse) => b"this is no picture and no sound".to_vec(),
        (Task::Memo { .. }, Behaviour::WritesSilence) => memo(&bytes, 0),
        (Task::Jpeg { .. }, _) => jpeg_of(&bytes),
        (Task::M4a { .. }, _) => m4a_of(&bytes),
        (Task::Memo { .. }, _) => memo_of(&bytes),
    };
    match fs::write(to, made) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

/// Writes down how it was called.
fn note(program: &Path, args: &[String]) -> io::Result<()> {
    let mut calls = OpenOptions::new().create(true).append(true).open(beside(program, "calls"))?;
    let call = serde_json::to_string(&(std::process::id(), args))?;
    calls.write_all(format!("{call}\n").as_bytes())
}

fn complain(text: &str) {
    // Nobody is left to tell when stderr is closed, too.
    let _ = writeln!(io::stderr(), "{text}");
}
