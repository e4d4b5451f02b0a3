//! The data directory: may it be written, who has it, and what has a bridge told there?

use std::{
    io,
    path::{Path, PathBuf},
};

use super::report::{Findings, masked};
use crate::commands::bridge::{
    room,
    secrets::{self, TokenSource},
    standing::{self, Standing},
};

/// What was found out.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) dir: PathBuf,
    /// Why it can't be written.
    pub(super) unwritable: Option<io::Error>,
    pub(super) running: bool,
    pub(super) standing: Option<Standing>,
    /// Files with secrets that others may read.
    pub(super) open: Vec<PathBuf>,
    /// Secrets in plain on the command line, and what is safer.
    pub(super) in_plain: Vec<(&'static str, &'static str)>,
    /// What is to be checked here, to be told from what runs.
    pub(super) driver: &'static str,
    pub(super) server: String,
}

pub(super) fn look(
    dir: &Path,
    token: &TokenSource,
    files: &[Option<&PathBuf>],
    driver: &'static str,
    server: &str,
) -> Facts {
    let token = match token {
        TokenSource::File(file) => Some(file),
        _ => None,
    };
    let files = files.iter().copied().flatten().chain(token);
    Facts {
        dir: dir.to_owned(),
        unwritable: room::look(dir).err(),
        running: standing::is_running(dir),
        standing: standing::read(dir),
        open: files.filter(|file| secrets::is_open_to_others(file)).cloned().collect(),
        in_plain: secrets::in_plain_here(),
        driver,
        server: server.to_owned(),
    }
}

pub(super) fn judge(facts: &Facts) -> Findings {
    let mut findings = Findings::of("This machine");
    let dir = facts.dir.display();
    match &facts.unwritable {
        Some(why) => findings.problem(
            "data_dir",
            format!("the data directory {dir} can't be written: {why}"),
            &[&match why.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "Make room on that disk: a bridge that can't write down what it does does nothing".to_owned()
                }
                _ => format!("Give it to the user that the bridge runs as: sudo chown -R \"$USER\" {dir}; or choose another with --data-dir"),
            }],
        ),
        None => findings.ok("data_dir", format!("the data directory {dir} can be written")),
    }
    for (option, safer) in &facts.in_plain {
        findings.warning(
            "secrets",
            format!("{option} shows its secret to everybody on this machine"),
            &[&format!("Use {safer}")],
        );
    }
    for file in &facts.open {
        let file = file.display();
        findings.warning(
            "secrets",
            format!("others on this machine may read {file}"),
            &[&format!("chmod 600 {file}")],
        );
    }
    if facts.running {
        running(&mut findings, facts);
    }
    findings
}

fn running(findings: &mut Findings, facts: &Facts) {
    let Some(standing) = &facts.standing else {
        findings.ok("running", "a bridge has just begun with this data directory");
        return;
    };
    let process = standing.process;
    if standing.driver != facts.driver || standing.server != facts.server {
        findings.problem(
            "running",
            format!(
                "another bridge runs with this data directory: process {process}, driver {}, server {}",
                standing.driver, standing.server
            ),
            &["Give each bridge a --data-dir of its own"],
        );
        return;
    }
    match (standing.linked_since, &standing.problem) {
        (Some(_), _) => {
            findings.ok("running", format!("the bridge runs and is linked: process {process}"))
        }
        (None, problem) => findings.warning(
            "running",
            format!(
                "the bridge runs and is not linked: process {process}{}",
                problem.as_ref().map(|problem| format!(", {problem}")).unwrap_or_default()
            ),
            &["It dials by itself; if this stays so, what stands under Server says why"],
        ),
    }
    for line in &standing.lines {
        let handle = masked(&line.handle);
        match (line.online, line.reason.as_deref()) {
            (true, None) => findings.ok("line", format!("the line {handle} is online")),
            (true, Some(reason)) => {
                let found = format!("the line {handle} is online, and the bridge says: {reason}");
                findings.warning("line", found, &[mend(reason)]);
            }
            (false, reason) => {
                let reason = reason.unwrap_or("starting");
                let found = format!("the line {handle} is offline in the running bridge: {reason}");
                findings.problem("line", found, &[mend(reason)]);
            }
        }
    }
}

/// What to do about the reason that a bridge gives for a line.
fn mend(reason: &str) -> &'static str {
    match reason {
        "starting" => "Ask again in a minute",
        "permission" => {
            "What launchd or systemd runs has permissions of its own: switch Full Disk Access and Automation on for the \
             switchboard binary, off and on again if it was updated, and start the bridge anew"
        }
        "signed_out" | "wrong_account" => "Look at Messages > Settings > iMessage on the Mac",
        "poisoned" => {
            "It mends itself within a minute; if not, restart Messages and then the bridge"
        }
        "storage_unavailable" => {
            "The bridge can't write into its data directory: make room on that disk, and it goes on by itself"
        }
        "silent_watch" => {
            "Nothing is lost, news come a little later; restarting the bridge may mend it"
        }
        _ => "What stands below, under the driver's name, and the bridge's log say more",
    }
}
