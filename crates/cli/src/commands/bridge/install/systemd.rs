//! A unit of the user's systemd.

use std::path::{Path, PathBuf};

use super::Job;

pub(super) fn folder(home: &Path) -> PathBuf {
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.filter(|folder| folder.is_absolute());
    config.unwrap_or_else(|| home.join(".config")).join("systemd/user")
}

pub(super) fn file(name: &str) -> String {
    format!("{}.service", unit(name))
}

fn unit(name: &str) -> String {
    format!("switchboard-{name}")
}

pub(super) fn text(job: &Job) -> String {
    let command: Vec<_> = job.command.iter().map(|one| quote(one)).collect();
    format!(
        "[Unit]
Description=Switchboard bridge ({name})
StartLimitIntervalSec=0

[Service]
ExecStart={command}
Restart=always
RestartSec=15
TimeoutStopSec=20
UMask=0077
NoNewPrivileges=yes

[Install]
WantedBy=default.target
",
        name = job.name,
        command = command.join(" "),
    )
}

pub(super) fn to_start(name: &str) -> [String; 2] {
    let unit = unit(name);
    ["systemctl --user daemon-reload".to_owned(), format!("systemctl --user enable --now {unit}")]
}

pub(super) const NOT_DONE: &str =
    "What this can't do for you: without a login nothing of yours runs. To let it run all the same: loginctl enable-linger
Then look: switchboard bridge status";

pub(super) fn to_stop(name: &str) -> String {
    format!("systemctl --user disable --now {}; systemctl --user daemon-reload", unit(name))
}

/// For systemd, which knows specifiers, variables and quotes of its own.
fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=+@,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '%' | '$' => quoted.extend([letter, letter]),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
