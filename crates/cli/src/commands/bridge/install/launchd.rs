//! A job of launchd. It is the user's, in the session with the screen: Messages lives there.

use std::path::{Path, PathBuf};

use super::Job;

pub(super) fn folder() -> PathBuf {
    PathBuf::from("Library/LaunchAgents")
}

pub(super) fn file(name: &str) -> String {
    format!("{}.plist", label(name))
}

fn label(name: &str) -> String {
    format!("switchboard.{name}")
}

pub(super) fn text(job: &Job) -> String {
    let arguments: String =
        job.command.iter().map(|one| format!("    <string>{}</string>\n", escape(one))).collect();
    let stray = job.data_dir.join("launchd.log");
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{label}</string>
  <key>ProgramArguments</key>
  <array>
{arguments}  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <true/>
  <key>ThrottleInterval</key>
  <integer>30</integer>
  <key>ExitTimeOut</key>
  <integer>20</integer>
  <key>ProcessType</key>
  <string>Interactive</string>
  <key>LimitLoadToSessionType</key>
  <string>Aqua</string>
  <key>Umask</key>
  <integer>63</integer>
  <key>StandardErrorPath</key>
  <string>{stray}</string>
</dict>
</plist>
"#,
        label = label(&job.name),
        stray = escape(&stray.display().to_string()),
    )
}

pub(super) fn to_start(name: &str, path: &Path) -> [String; 2] {
    let (label, path) = (label(name), path.display().to_string().replace('\'', r"'\''"));
    [
        format!("launchctl bootstrap gui/$(id -u) '{path}'"),
        format!("launchctl kickstart -k gui/$(id -u)/{label}"),
    ]
}

pub(super) const NOT_DONE: &str =
    "What this can't do for you: macOS grants Full Disk Access and Automation to the program that launchd runs. Open System
Settings > Privacy & Security > Full Disk Access, add the switchboard binary with +, and start it anew with the second
command. When macOS asks whether it may control Messages, allow it. After each update of switchboard: switch it off and
on again there. Then look: switchboard bridge status";

pub(super) fn to_stop(name: &str) -> String {
    format!("launchctl bootout gui/$(id -u)/{}", label(name))
}

/// For XML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
