//! `bridge install`, and what `admin bridges create` prints for it.

use std::{fs, process::Stdio};

use serde_json::Value;
use switchboard_model::secret::{Secret, SecretKind};
use tokio::io::AsyncWriteExt as _;

use crate::{
    process::{Process, mode, run, switchboard},
    serve::Serve,
};

#[tokio::test]
async fn a_job_is_printed_written_and_taken_away() {
    let home = tempfile::tempdir().unwrap();
    let program = home.path().join("bin/imsg");
    fs::create_dir(home.path().join("bin")).unwrap();
    fs::write(&program, "").unwrap();
    let install = |more: &[&str]| {
        let mut command = switchboard();
        command.env("HOME", home.path()).env_remove("XDG_CONFIG_HOME");
        command.args(["bridge", "install", "--server", "https://sw.example.com"]);
        command.args(["--driver", "imsg", "--imsg"]).arg(&program).args(more);
        command
    };
    let printed = run(&mut install(&["--print"])).await.succeeded();
    for part in ["bridge run", "https://sw.example.com", "token", "bridge.log", "bin/imsg"] {
        assert!(printed.contains(part), "{printed}");
    }
    assert!(
        !home.path().join(".config").exists() && !home.path().join(".switchboard-bridge").exists()
    );

    // Without a token nothing is installed; it may come in by a pipe, and is kept.
    let none = run(&mut install(&[])).await;
    assert!(none.code == Some(1) && none.stderr.contains("no token"), "{}", none.stderr);
    let token = Secret::from_random(SecretKind::Bridge, [7; 20]);
    let mut piped = install(&["--token-file", "-"]);
    let mut child = piped.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{}\n", token.reveal()).as_bytes()).await.unwrap();
    drop(stdin);
    let done = child.wait_with_output().await.unwrap();
    let (said, path) =
        (String::from_utf8(done.stderr).unwrap(), String::from_utf8(done.stdout).unwrap());
    assert!(done.status.success(), "{said}");
    let kept = home.path().join(".switchboard-bridge/token");
    assert_eq!(fs::read_to_string(&kept).unwrap().trim(), token.reveal());
    assert_eq!(mode(&kept), 0o600);
    let path = path.trim();
    let written = fs::read_to_string(path).unwrap();
    assert_eq!(written.trim_end(), printed.trim_end());
    assert!(!written.contains(token.reveal()) && said.contains("Start it now"), "{said}");

    // On the command line it is refused: it would stand in the job.
    let plain = run(&mut install(&["--token", token.reveal()])).await;
    assert!(plain.code == Some(1) && plain.stderr.contains("--token-file"), "{}", plain.stderr);
    let second = run(&mut install(&["--name", "two", "--json"])).await.succeeded();
    let second: Value = serde_json::from_str(&second).unwrap();
    assert_ne!(second["path"], path);
    assert_eq!(second["start"].as_array().unwrap().len(), 2);

    // The name is all that it has to be told.
    let mut bare = switchboard();
    bare.env("HOME", home.path()).env_remove("XDG_CONFIG_HOME");
    let two = run(bare.args(["bridge", "install", "--uninstall", "--name", "two", "--json"])).await;
    let removed: Value = serde_json::from_str(&two.succeeded()).unwrap();
    assert_eq!(removed["removed"], second["path"]);
    let mut bare = switchboard();
    let none = run(bare.env("HOME", home.path()).args(["bridge", "install"])).await;
    assert!(none.code == Some(2) && none.stderr.contains("--server"), "{}", none.stderr);
    let gone = run(&mut install(&["--uninstall"])).await;
    assert!(gone.code == Some(0) && gone.stderr.contains("If it still runs"), "{}", gone.stderr);
    assert!(!fs::exists(path).unwrap() && kept.exists());
    let none = run(&mut install(&["--uninstall"])).await;
    assert!(
        none.code == Some(1) && none.stderr.contains("nothing of that name"),
        "{}",
        none.stderr
    );
}

#[tokio::test]
async fn who_makes_a_bridge_gets_the_commands_for_its_machine() {
    let dir = tempfile::tempdir().unwrap();
    let server = Serve::start(&mut Serve::command(dir.path())).await;
    let create = |name: &str, more: &[&str]| {
        let mut command = switchboard();
        command.args(["admin", "bridges", "create", "--name", name]).args(more);
        command.env("SWITCHBOARD_URL", &server.url).env("SWITCHBOARD_DATA_DIR", dir.path());
        command
    };
    let done = run(&mut create("mini", &["--driver", "imsg"])).await;
    let token = done.stdout.trim();
    assert!(
        Secret::parse(SecretKind::Bridge, token).is_some(),
        "the token, and nothing else: {token}"
    );
    insta::assert_snapshot!(done.stderr.replace(&server.url, "http://127.0.0.1:8080"));

    let done = run(&mut create("air", &["--driver", "bluebubbles", "--json"])).await;
    let made: Value = serde_json::from_str(&done.succeeded()).unwrap();
    let install = made["commands"][1].as_str().unwrap();
    assert!(install.contains("--driver bluebubbles --bluebubbles-url"), "{install}");
    let token = made["token"].as_str().unwrap();
    assert!(!install.contains(token));

    let file = dir.path().join("to ken");
    let more = ["--driver", "imsg", "--token-file", file.to_str().unwrap(), "--json"];
    let made: Value =
        serde_json::from_str(&run(&mut create("pro", &more)).await.succeeded()).unwrap();
    assert!(made["token"].is_null() && mode(&file) == 0o600, "{made}");
    let kept = fs::read_to_string(&file).unwrap();
    assert!(Secret::parse(SecretKind::Bridge, kept.trim()).is_some());
    // The command is what a shell takes.
    let doctor = made["commands"][0].as_str().unwrap();
    let binary = env!("CARGO_BIN_EXE_switchboard");
    let mut shell = crate::process::without_settings("sh");
    let doctor = doctor.replacen("switchboard", binary, 1);
    let doctor = format!("{doctor} --data-dir '{}' --json", dir.path().join("bridge").display());
    let process = Process::spawn(shell.args(["-c", &doctor]));
    let (status, stdout, stderr) = process.end().await;
    let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"));
    assert_eq!(status.code(), Some(1), "imsg is not here: {report}");
    let checks = report["checks"].as_array().unwrap();
    let token = checks.iter().find(|check| check["check"] == "token").unwrap();
    assert_eq!(token["level"], "ok", "{report}");
    server.process.stop("TERM").await;
}
