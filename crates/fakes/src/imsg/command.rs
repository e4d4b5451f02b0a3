//! imsg's other commands: `--version`, `status --json`, `launch`.

use serde_json::json;

use super::{
    gate::{Helper, Protection},
    rpc::{cli_status, render},
    state::Shared,
};

/// Runs a command: the lines of its stdout, and its exit code. Errors of plain commands go to stdout, too.
pub(crate) async fn run(shared: &Shared, args: &[String], version: &str) -> (Vec<String>, u8) {
    let args = args.iter().map(String::as_str).collect::<Vec<_>>();
    match args[..] {
        ["--version" | "-V"] => (vec![version.to_owned()], 0),
        ["status", "--json"] => {
            let mut settings = shared.settings.clone();
            settings.version = shared.look(|state| state.version.clone());
            (vec![render(&shared.look(|state| cli_status(state, &settings, version)))], 0)
        }
        ["launch", ref options @ ..] => launch(shared, options).await,
        _ => (vec!["Error: the fake has no such command".to_owned()], 1),
    }
}

/// `imsg launch`: restarts Messages with the helper inside (bridge.md). Refuses with system protection on; times out
/// while macOS validates libraries.
async fn launch(shared: &Shared, options: &[&str]) -> (Vec<String>, u8) {
    if options.contains(&"--kill-only") {
        shared.change(|state| state.helper = Helper::Absent);
        return (vec![render(&json!({ "status": "killed" }))], 0);
    }
    let (protection, validation) = shared.look(|state| (state.protection, state.validation));
    let error = match protection {
        Protection::Enabled => Some(("sip_enabled", "Disable System Integrity Protection first.")),
        Protection::Unknown => {
            Some(("sip_unknown", "The state of System Integrity Protection is unknown."))
        }
        Protection::Disabled if validation => {
            shared.change(|state| state.helper = Helper::Absent);
            tokio::time::sleep(shared.settings.pace.launch).await;
            Some(("timeout", "Messages did not report that the helper is ready."))
        }
        Protection::Disabled => None,
    };
    match error {
        Some((error, message)) => {
            (vec![render(&json!({ "status": "error", "error": error, "message": message }))], 1)
        }
        None => {
            shared.change(|state| state.helper = Helper::Present);
            (vec![render(&json!({ "status": "launched" }))], 0)
        }
    }
}

/// The database of `imsg rpc`, or what is wrong with its options.
pub(crate) fn rpc_database(args: &[String]) -> Result<String, String> {
    let mut database = "~/Library/Messages/chat.db";
    let mut args = args.iter().skip(1).map(String::as_str);
    while let Some(arg) = args.next() {
        match arg {
            "--json" | "--verbose" => {}
            "--db" => database = args.next().ok_or("Error: --db needs a path")?,
            "--log-level" => {
                args.next().ok_or("Error: --log-level needs a level")?;
            }
            unknown => return Err(format!("Error: Unknown option {unknown}")),
        }
    }
    Ok(database.replacen('~', "/Users/bot", usize::from(database.starts_with('~'))))
}
