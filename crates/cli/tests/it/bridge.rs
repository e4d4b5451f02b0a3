//! `switchboard bridge …`: real phones, as far as their stand-ins go.

mod doctor;
mod install;
#[cfg(target_os = "linux")]
mod no_room;
mod running;

use std::{
    env,
    path::{Path, PathBuf},
};

use serde_json::Value;
use switchboard_fakes::imsg::Mac;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    process::{Done, run, switchboard},
    serve::Serve,
};

/// The line's number; it is the fake Mac's own.
const LINE: &str = "+15550999999";
const CONTACT: &str = "+15550100002";

/// A server with a bridge and a line that it is to carry, and the folder of that bridge.
struct Site {
    server: Serve,
    dir: TempDir,
    account: String,
    bridge: Value,
}

impl Site {
    async fn new(driver: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Serve::start(&mut Serve::command(&dir.path().join("server"))).await;
        let mut site = Self { server, dir, account: String::new(), bridge: Value::Null };
        let account = site.admin(&["accounts", "create", "Acme"]).await;
        site.account = account["id"].as_str().unwrap().to_owned();
        site.bridge =
            site.admin(&["bridges", "create", "--name", "mini", "--driver", driver]).await;
        let bridge = site.bridge["id"].as_str().unwrap();
        let line = ["lines", "create", "--account", &site.account, "--handle", LINE];
        site.admin(&[&line[..], &["--driver", driver, "--bridge", bridge]].concat()).await;
        std::fs::create_dir(site.data_dir()).unwrap();
        site.write("bridge/token", site.bridge["token"].as_str().unwrap());
        site
    }

    async fn admin(&self, args: &[&str]) -> Value {
        let mut command = switchboard();
        command.arg("admin").args(args).arg("--json").env("SWITCHBOARD_URL", &self.server.url);
        command.env("SWITCHBOARD_DATA_DIR", self.dir.path().join("server"));
        serde_json::from_str(&run(&mut command).await.succeeded()).unwrap()
    }

    /// Writes a file that only its owner may read.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// The bridge's data directory.
    fn data_dir(&self) -> PathBuf {
        self.dir.path().join("bridge")
    }

    /// A command of this bridge, on a Mac that lets it steer Messages.
    fn bridge(&self, deed: &str, options: &[&str]) -> Command {
        let mut command = on_a_mac("allowed");
        command.args(["bridge", deed]).arg("--data-dir").arg(self.data_dir());
        if deed != "status" {
            command.args(["--server", &self.server.url]);
        }
        command.args(options);
        command
    }

    /// The options of its driver.
    fn imsg<'a>(&self, program: &'a Path) -> [&'a str; 4] {
        ["--driver", "imsg", "--imsg", program.to_str().unwrap()]
    }

    /// What was printed, without what is different each time.
    fn told(&self, done: &Done) -> String {
        let folder = self.dir.path().canonicalize().unwrap();
        let folders = [self.dir.path(), &folder];
        let mut text = done.stdout.clone();
        for folder in folders {
            text = text.replace(folder.to_str().unwrap(), "DIR");
        }
        // Each system has its own number for what it refuses.
        let text = text.replace(" (os error 111)", "").replace(" (os error 61)", "");
        without_program(&text.replace(&self.server.url, "http://SERVER"))
    }
}

/// The same, without the folder of the fake Mac.
fn without_program(text: &str) -> String {
    let word = |word: &str| match word.starts_with('/')
        && word.ends_with("/imsg")
        && word.contains(".tmp")
    {
        true => "MAC/imsg".to_owned(),
        false => word.to_owned(),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// The binary in a terminal of a Mac, where `osascript` and the programs that convert files are what stands in this folder.
fn on_a_mac(osascript: &str) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/bridge").join(osascript);
    let rest = env::var_os("PATH").unwrap();
    let path = env::join_paths([folder].into_iter().chain(env::split_paths(&rest))).unwrap();
    let mut command = switchboard();
    command.env("PATH", path);
    // They are looked for there, too.
    command.env("SWITCHBOARD_BRIDGE_SIPS", "sips").env("SWITCHBOARD_BRIDGE_AFCONVERT", "afconvert");
    command
}

/// A Mac with one conversation.
fn mac() -> Mac {
    let mac = Mac::start();
    mac.contact("+15550100002").writes("hello there");
    mac
}
