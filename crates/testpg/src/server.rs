//! The one server: found running, or started.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    os::unix::fs::{DirBuilderExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// The database's superuser.
pub(crate) const USER: &str = "test";

/// PostgreSQL does not run as root: then it runs as nobody.
const NOBODY: u32 = 65_534;

/// Connections for many tests at a time.
const SETTINGS: &str = "-c listen_addresses= -c max_connections=400";
/// Tests lose nothing when the machine fails.
const OF_TESTS: &str = "-c fsync=off -c shared_buffers=64MB";
/// What is measured keeps what it says; memory as who runs it would give it.
const DURABLE: &str = "-c shared_buffers=256MB -c max_wal_size=4GB";

/// Ends the server when the last test has ended: it takes the lock that each test shares.
const WATCHER: &str = "while sleep 20; do
  flock start.lock flock --nonblock --conflict-exit-code 75 users.lock \"$@\" >/dev/null 2>&1
  [ $? = 75 ] || exit
done";

/// A server.
#[derive(Clone)]
pub(crate) struct Server {
    /// Where it keeps everything, and where its socket is.
    pub(crate) directory: PathBuf,
    settings: &'static str,
}

impl Server {
    /// That of all tests of this user.
    pub(crate) fn of_tests() -> Self {
        let user = rustix::process::getuid().as_raw();
        let directory = env::temp_dir().join(format!("switchboard-testpg-{user}"));
        Self { directory, settings: OF_TESTS }
    }

    /// One whose commits are on the disk, in this directory.
    pub(crate) fn durable(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), settings: DURABLE }
    }

    /// Makes sure that it runs, and goes on running as long as this process does.
    pub(crate) fn start(&self) {
        static USING: Mutex<BTreeMap<PathBuf, File>> = Mutex::new(BTreeMap::new());
        let mut using = USING.lock().unwrap_or_else(PoisonError::into_inner);
        if using.contains_key(&self.directory) {
            return;
        }
        let directory = &self.directory;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).unwrap();
        let users = lock_file(directory, "users.lock");
        users.lock_shared().unwrap();
        let starting = lock_file(directory, "start.lock");
        starting.lock().unwrap();
        if !is_running(directory) {
            begin(directory, self.settings);
        }
        using.insert(directory.clone(), users);
    }
}

fn lock_file(directory: &Path, name: &str) -> File {
    let path = directory.join(name);
    OpenOptions::new().create(true).truncate(false).write(true).open(path).unwrap()
}

fn is_running(directory: &Path) -> bool {
    let mut status = program("pg_ctl");
    status.arg("status").arg("-D").arg(directory.join("data"));
    status.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

fn begin(directory: &Path, settings: &str) {
    if is_root() {
        chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let data = directory.join("data");
    if !data.join("PG_VERSION").exists() {
        let mut init = program("initdb");
        init.arg("-D").arg(&data).args([
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "-N",
        ]);
        run(init);
    }
    let mut start = program("pg_ctl");
    start.arg("start").arg("-w").arg("-D").arg(&data).arg("-l").arg(directory.join("log"));
    start.arg("-o").arg(format!("{SETTINGS} {settings} -k {}", directory.display()));
    start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    run(start);
    watch(directory, &data);
}

/// In a session of its own: the end of this process is not its end.
fn watch(directory: &Path, data: &Path) {
    let stop = program("pg_ctl");
    let mut watcher = Command::new("setsid");
    watcher
        .args(["--fork", "sh", "-c", WATCHER, "watcher"])
        .arg(stop.get_program())
        .args(stop.get_args());
    watcher.args(["stop", "-m", "immediate", "-D"]).arg(data);
    watcher.current_dir(directory);
    watcher.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    run(watcher);
}

fn run(mut command: Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?} ended with {status}");
}

/// One of PostgreSQL's programs, as a user who may run it.
fn program(name: &str) -> Command {
    let path = find(name).unwrap_or_else(|| {
        panic!("there is no {name} on this machine: install PostgreSQL (the Debian package `postgresql`)")
    });
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={NOBODY}")).arg(format!("--regid={NOBODY}"));
        command.arg("--clear-groups").arg(path);
        command
    } else {
        Command::new(path)
    };
    // Its programs want to be where they may be.
    command.current_dir("/");
    command
}

/// On the path, or where Debian puts it: the newest.
fn find(name: &str) -> Option<OsString> {
    let on_path = env::split_paths(&env::var_os("PATH")?)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file());
    let of_debian = || {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
        let mut versions: Vec<_> = versions
            .filter_map(|version| {
                let version = version.ok()?;
                let number: u32 = version.file_name().to_str()?.parse().ok()?;
                let path = version.path().join("bin").join(name);
                path.is_file().then_some((number, path))
            })
            .collect();
        versions.sort();
        versions.pop().map(|(_, path)| path)
    };
    on_path.or_else(of_debian).map(PathBuf::into_os_string)
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}
