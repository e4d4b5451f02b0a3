//! `sips` and `afconvert` of macOS, as far as their command lines go (`man sips`, `afconvert -h`).
//!
//! [`Programs`] is a folder with both. They make of a file one that begins as its form does and then says what it was
//! made of, so that a test can compare bytes. They misbehave when they are told to, and write down how they were called.

mod made;
mod program;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

pub use self::{
    made::{jpeg_of, m4a_of, memo_of},
    program::act,
};

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `sips -s format jpeg IN --out OUT`
    Sips,
    /// `afconvert -f m4af -d aac IN OUT` and `afconvert -f caff -d opus@24000 -c 1 IN OUT`
    Afconvert,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Sips => "sips",
            Self::Afconvert => "afconvert",
        }
    }
}

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// What it should.
    Works,
    /// It can't read the file, and says so.
    Fails,
    /// It begins to write and never ends.
    Hangs,
    /// It ends well and has written nothing.
    WritesNothing,
    /// It ends well and has made an empty file.
    WritesEmpty,
    /// It ends well and has written something else.
    WritesSomethingElse,
    /// It makes a sound in which nothing is heard.
    WritesSilence,
}

impl Behaviour {
    const ALL: [(Self, &str); 7] = [
        (Self::Works, "works"),
        (Self::Fails, "fails"),
        (Self::Hangs, "hangs"),
        (Self::WritesNothing, "nothing"),
        (Self::WritesEmpty, "empty"),
        (Self::WritesSomethingElse, "else"),
        (Self::WritesSilence, "silence"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(one, _)| *one == self).map_or("works", |(_, name)| name)
    }

    fn parse(name: &str) -> Self {
        let known = Self::ALL.iter().find(|(_, known)| *known == name.trim());
        known.map_or(Self::Works, |(one, _)| *one)
    }
}

/// A folder with both programs.
#[derive(Debug)]
pub struct Programs {
    folder: TempDir,
}

impl Programs {
    /// Both, and they work.
    ///
    /// # Panics
    /// When they can't be put there.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let target = crate::program::built("fake-conversion");
        for program in [Program::Sips, Program::Afconvert] {
            std::os::unix::fs::symlink(&target, folder.path().join(program.name()))
                .expect("a name can be given");
        }
        Self { folder }
    }

    /// Where one is.
    pub fn path(&self, program: Program) -> PathBuf {
        self.folder.path().join(program.name())
    }

    /// From now on it does this.
    ///
    /// # Panics
    /// When that can't be written down.
    pub fn behave(&self, program: Program, behaviour: Behaviour) {
        fs::write(beside(&self.path(program), "behaviour"), behaviour.name())
            .expect("a folder can be written");
    }

    /// How it was called: process and arguments.
    pub fn calls(&self, program: Program) -> Vec<(u32, Vec<String>)> {
        let written = fs::read_to_string(beside(&self.path(program), "calls"));
        let written = written.unwrap_or_default();
        written.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How many of its processes there are.
    pub fn running(&self, program: Program) -> usize {
        let calls = self.calls(program);
        calls.iter().filter(|(process, _)| is_running(*process)).count()
    }
}

impl Default for Programs {
    fn default() -> Self {
        Self::new()
    }
}

fn is_running(process: u32) -> bool {
    let kill = Command::new("kill").args(["-0", &process.to_string()]).output();
    kill.is_ok_and(|done| done.status.success())
}

/// A file that belongs to a program.
fn beside(program: &Path, what: &str) -> PathBuf {
    let mut name = program.as_os_str().to_owned();
    name.push(format!(".{what}"));
    name.into()
}
