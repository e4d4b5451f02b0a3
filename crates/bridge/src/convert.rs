//! Files in a form that everybody can show or play, made by the Mac's own programs: `sips` for pictures, `afconvert` for
//! sounds.
//!
//! The promise: a conversion never holds anything up for long and never loses anything. It is bounded in time, size and
//! number; a program that hangs is killed and then left alone for a while; where nothing is made, the file goes as it came.
//! What is made lies in a folder of its own that is emptied at the next start. A program is given whole paths and nothing
//! that somebody else chose: no name can be an option.

mod caf;
mod kinds;
mod program;

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt,
    sync::{Semaphore, watch},
    time::{Instant, timeout},
};
use tracing::{debug, warn};

use self::caf::Caf;
pub use self::kinds::Form;
pub(crate) use self::program::Failure;
use crate::{connector::FetchedFile, files::DEFAULT_MAX_BYTES, ledger::LedgerError};

/// How long one conversion may take. A large picture takes a second or two.
const WITHIN: Duration = Duration::from_secs(30);
/// How many there may be at once: a Mac has other things to do.
const AT_ONCE: usize = 2;
/// How long a program that hung is left alone.
const REST: Duration = Duration::from_secs(5 * 60);
/// What is larger is not converted, and nothing larger is made.
const MOST_BYTES: u64 = DEFAULT_MAX_BYTES;
/// The name by which Messages shows a voice memo.
const MEMO: &str = "Audio Message.caf";

/// The Mac's programs that convert files.
#[derive(Debug, Clone)]
pub struct ConversionTools {
    /// Makes a JPEG of a HEIC.
    pub sips: PathBuf,
    /// Makes an M4A of a CAF, and a voice memo of any sound.
    pub afconvert: PathBuf,
    /// How long one conversion may take.
    pub within: Duration,
}

impl Default for ConversionTools {
    /// Where macOS has them.
    fn default() -> Self {
        let (sips, afconvert) = ("/usr/bin/sips".into(), "/usr/bin/afconvert".into());
        Self { sips, afconvert, within: WITHIN }
    }
}

/// How many files were converted, and how many were to be and went as they came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conversions {
    /// Converted.
    pub made: u64,
    /// Not converted.
    pub failed: u64,
}

/// Who converts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Tool {
    Sips,
    Afconvert,
    /// The program that carries the line.
    Line,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Sips => "sips",
            Self::Afconvert => "afconvert",
            Self::Line => "what carries the line",
        }
    }
}

/// Converts.
pub(crate) struct Converter {
    tools: ConversionTools,
    dir: PathBuf,
    slots: Semaphore,
    /// Until when a program is left alone.
    rests: Mutex<HashMap<Tool, Instant>>,
    /// What was said in the log: each thing once.
    said: Mutex<HashSet<(Tool, Failure)>>,
    counts: watch::Sender<Conversions>,
}

/// A file that was made. It goes away with this.
pub(crate) enum Made {
    Here { path: PathBuf, _dir: TempDir },
    ByLine(FetchedFile),
}

impl Made {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Here { path, .. } => path,
            Self::ByLine(fetched) => fetched.path(),
        }
    }
}

/// Why a file can't be a voice memo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoMemo {
    Failed(Failure),
    Silent,
}

impl fmt::Display for NoMemo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("The voice memo was not sent: ")?;
        f.write_str(match self {
            Self::Silent => "there is no sound in the file. Record it again",
            Self::Failed(Failure::Missing) => {
                "the bridge's machine has no afconvert that makes it one which plays. Send a CAF file (Opus, 24 kHz, \
                 mono), run the bridge on the Mac, or name the program with --afconvert"
            }
            Self::Failed(Failure::Slow | Failure::Resting | Failure::Busy) => {
                "afconvert on the bridge's machine does not finish. Send it again in some minutes, or send a CAF file \
                 (Opus, 24 kHz, mono)"
            }
            Self::Failed(Failure::TooLarge) => "the file is too large. Send a shorter one",
            Self::Failed(Failure::Disk) => {
                "the disk of the bridge's machine can't be used. Make room there, and send it again"
            }
            Self::Failed(Failure::Failed | Failure::Nothing | Failure::Wrong) => {
                "afconvert can't read the file. Does it play on a Mac? Send an M4A, or a CAF file (Opus, 24 kHz, mono)"
            }
        })?;
        f.write_str(".")
    }
}

impl Converter {
    /// Makes the folder, and empties it: a process that was killed leaves files there.
    pub(crate) fn open(tools: ConversionTools, dir: PathBuf) -> Result<Self, LedgerError> {
        let emptied = match std::fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir_all(&dir),
        };
        if let Err(error) = emptied {
            return Err(LedgerError::Open { path: dir, source: error.into() });
        }
        // A program is told no path that depends on where it runs.
        let dir = match std::path::absolute(&dir) {
            Ok(dir) => dir,
            Err(error) => return Err(LedgerError::Open { path: dir, source: error.into() }),
        };
        Ok(Self {
            tools,
            dir,
            slots: Semaphore::new(AT_ONCE),
            rests: Mutex::default(),
            said: Mutex::default(),
            counts: watch::Sender::default(),
        })
    }

    /// The folder for what is made.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The most that a conversion may take, with the wait for its turn.
    pub(crate) fn within(&self) -> Duration {
        self.tools.within * 2
    }

    pub(crate) fn counts(&self) -> watch::Receiver<Conversions> {
        self.counts.subscribe()
    }

    /// The file in this form: by what carries the line, where it makes one, or else by this machine's programs.
    /// None if nobody can; that is counted, and said once.
    pub(crate) async fn convert(
        &self,
        form: Form,
        from: &Path,
        by_line: impl Future<Output = Option<FetchedFile>>,
    ) -> Option<Made> {
        if let Some(fetched) = self.by_line(form, by_line).await {
            self.count(|counts| counts.made += 1);
            return Some(Made::ByLine(fetched));
        }
        let (tool, program, before, between): (_, _, &[&str], &[&str]) = match form {
            Form::Jpeg => (Tool::Sips, &self.tools.sips, &["-s", "format", "jpeg"], &["--out"]),
            Form::M4a => {
                (Tool::Afconvert, &self.tools.afconvert, &["-f", "m4af", "-d", "aac"], &[])
            }
        };
        let name = format!("converted.{}", form.extension());
        let made = self.run(tool, program, (before, between), from, &name).await;
        let made = match made {
            Ok(made) if is_in(form, made.path()).await => Ok(made),
            Ok(_) => Err(Failure::Wrong),
            Err(failure) => Err(failure),
        };
        match made {
            Ok(made) => {
                self.count(|counts| counts.made += 1);
                Some(made)
            }
            Err(failure) => {
                self.count(|counts| counts.failed += 1);
                self.say(tool, failure);
                None
            }
        }
    }

    async fn by_line(
        &self,
        form: Form,
        asking: impl Future<Output = Option<FetchedFile>>,
    ) -> Option<FetchedFile> {
        if self.is_resting(Tool::Line) {
            return None;
        }
        let Ok(fetched) = timeout(self.tools.within, asking).await else {
            self.rest(Tool::Line);
            self.say(Tool::Line, Failure::Slow);
            return None;
        };
        let fetched = fetched?;
        if is_in(form, fetched.path()).await {
            return Some(fetched);
        }
        self.say(Tool::Line, Failure::Wrong);
        None
    }

    /// A voice memo of this sound that Messages plays; none if it is one already.
    pub(crate) async fn memo(&self, from: &Path) -> Result<Option<Made>, NoMemo> {
        match caf_of(from).await? {
            Some(caf) if caf.is_memo() && caf.is_silent() => return Err(NoMemo::Silent),
            Some(caf) if caf.is_memo() => return Ok(None),
            _ => {}
        }
        let args: (&[&str], &[&str]) = (&["-f", "caff", "-d", "opus@24000", "-c", "1"], &[]);
        let made = self.run(Tool::Afconvert, &self.tools.afconvert, args, from, MEMO).await;
        let made = match made {
            Ok(made) => match caf_of(made.path()).await? {
                Some(caf) if caf.is_memo() && caf.is_silent() => Err(NoMemo::Silent),
                Some(caf) if caf.is_memo() => Ok(made),
                _ => Err(NoMemo::Failed(Failure::Wrong)),
            },
            Err(failure) => Err(NoMemo::Failed(failure)),
        };
        if let Err(NoMemo::Failed(failure)) = made {
            self.say(Tool::Afconvert, failure);
        }
        self.count(|counts| match made {
            Ok(_) => counts.made += 1,
            Err(_) => counts.failed += 1,
        });
        made.map(Some)
    }

    async fn run(
        &self,
        tool: Tool,
        program: &Path,
        (before, between): (&[&str], &[&str]),
        from: &Path,
        name: &str,
    ) -> Result<Made, Failure> {
        if self.is_resting(tool) {
            return Err(Failure::Resting);
        }
        let turn = timeout(self.tools.within, self.slots.acquire()).await;
        let _turn = turn.map_err(|_elapsed| Failure::Busy)?;
        let from = std::path::absolute(from).map_err(|_| Failure::Disk)?;
        let found = tokio::fs::metadata(&from).await.map_err(|_| Failure::Disk)?;
        if found.len() > MOST_BYTES {
            return Err(Failure::TooLarge);
        }
        let dir = tempfile::tempdir_in(&self.dir).map_err(|_| Failure::Disk)?;
        let path = dir.path().join(name);
        let mut args: Vec<&OsStr> = before.iter().map(OsStr::new).collect();
        args.push(from.as_os_str());
        args.extend(between.iter().map(OsStr::new));
        args.push(path.as_os_str());
        let ran = program::run(program, &args, &path, self.tools.within, MOST_BYTES).await;
        if ran == Err(Failure::Slow) {
            self.rest(tool);
        }
        ran?;
        match tokio::fs::metadata(&path).await {
            Ok(made) if made.len() > MOST_BYTES => Err(Failure::TooLarge),
            Ok(made) if made.is_file() && made.len() > 0 => Ok(Made::Here { path, _dir: dir }),
            _ => Err(Failure::Nothing),
        }
    }

    fn is_resting(&self, tool: Tool) -> bool {
        locked(&self.rests).get(&tool).is_some_and(|until| Instant::now() < *until)
    }

    fn rest(&self, tool: Tool) {
        locked(&self.rests).insert(tool, Instant::now() + REST);
    }

    fn count(&self, change: impl FnOnce(&mut Conversions)) {
        self.counts.send_modify(change);
    }

    fn say(&self, tool: Tool, failure: Failure) {
        if locked(&self.said).insert((tool, failure)) {
            warn!(by = tool.name(), %failure, "a file can't be converted; this is said once");
        } else {
            debug!(by = tool.name(), %failure, "a file can't be converted");
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a file is in this form, as far as its beginning tells.
async fn is_in(form: Form, path: &Path) -> bool {
    let mut head = [0; 12];
    let read = async {
        let mut file = tokio::fs::File::open(path).await?;
        file.read_exact(&mut head).await
    };
    read.await.is_ok() && form.begins(&head)
}

async fn caf_of(path: &Path) -> Result<Option<Caf>, NoMemo> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || Caf::read(&path)).await;
    read.map_err(|_| NoMemo::Failed(Failure::Disk))?.map_err(|_| NoMemo::Failed(Failure::Disk))
}
