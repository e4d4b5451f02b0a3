//! `switchboard bridge status`: does it run, is it linked, and how are its lines?

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{
    options, room,
    standing::{self, FilesStanding, LineStanding, Standing},
};
use crate::output;

/// Show whether the bridge on this machine runs and is linked, and how its lines are
///
/// Exit code 0 says that it runs, is linked and can write down what it does, 1 that not.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// The bridge's data directory
    #[arg(
        long,
        env = "SWITCHBOARD_BRIDGE_DATA_DIR",
        default_value = options::DATA_DIR,
        value_name = "DIR"
    )]
    data_dir: PathBuf,

    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// What a script is told.
#[derive(Serialize)]
struct Told<'a> {
    running: bool,
    linked: bool,
    /// Why the bridge can't write down what it does, this state included.
    #[serde(skip_serializing_if = "Option::is_none")]
    unwritable: Option<String>,
    /// As the bridge wrote it last.
    last: Option<&'a Standing>,
}

/// The bridge does not run, has no link or can't write: exit code 1, and all is said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotWell(&'static str);

pub(super) fn run(status: &Status) -> anyhow::Result<()> {
    let dir = options::dir(&status.data_dir)?;
    let running = standing::is_running(&dir);
    let last = standing::read(&dir);
    let linked = running && last.as_ref().is_some_and(|last| last.linked_since.is_some());
    // The bridge says it of its lines, but can't write that down either.
    let unwritable = room::look(&dir).err().filter(|_| running).map(|why| why.to_string());
    let is_writable = unwritable.is_none();
    if status.json {
        let told = Told { running, linked, unwritable, last: last.as_ref() };
        output::data(&serde_json::to_string(&told)?)?;
    } else {
        output::data(shown(running, unwritable.as_deref(), last.as_ref()).trim_end())?;
    }
    match (running, linked) {
        (true, true) if is_writable => Ok(()),
        (true, true) => Err(NotWell("the bridge can't write into its data directory").into()),
        (true, false) => Err(NotWell("the bridge runs and has no link to the server").into()),
        (false, _) => {
            Err(NotWell("the bridge does not run: 'switchboard bridge install' says how").into())
        }
    }
}

fn shown(running: bool, unwritable: Option<&str>, last: Option<&Standing>) -> String {
    let Some(last) = last else {
        return match running {
            true => "Running  yes, it has just begun".to_owned(),
            false => "Running  no, and it never did with this data directory".to_owned(),
        };
    };
    let started = output::time(last.started_at);
    let mut text = match running {
        true => format!("Running  since {started}, process {}\n", last.process),
        false => format!(
            "Running  no; begun {started}, last heard of {}\n",
            output::time(last.written_at)
        ),
    };
    if running {
        text += &match (last.linked_since, &last.problem) {
            (Some(since), _) => format!("Linked   since {}\n", output::time(since)),
            (None, Some(problem)) => format!("Linked   no: {problem}\n"),
            (None, None) => "Linked   not yet\n".to_owned(),
        };
    }
    if let Some(why) = unwritable {
        text += &format!(
            "Storage  the data directory can't be written, and what is said here may be old: {why}\n"
        );
    }
    text += &format!("Server   {}\nDriver   {}\n", last.server, last.driver);
    let FilesStanding { converted, not_converted } = last.files;
    if converted + not_converted > 0 {
        text += &format!(
            "Files    {converted} converted, {not_converted} that could not be; the log says why\n"
        );
    }
    if last.lines.is_empty() {
        text += "Lines    none; give it one with 'switchboard admin lines create --bridge …'\n";
    } else if running {
        let rows: Vec<_> = last.lines.iter().map(row).collect();
        text += &format!("\n{}\n", output::aligned(&["LINE", "STATE", "SINCE", "CAN"], &rows));
    }
    text
}

fn row(line: &LineStanding) -> Vec<String> {
    let state = if line.online { "online" } else { "offline" };
    let state = match &line.reason {
        Some(reason) => format!("{state}: {reason}"),
        None => state.to_owned(),
    };
    let can = match line.capabilities.is_empty() {
        true => "texts and files only".to_owned(),
        false => line.capabilities.join(", "),
    };
    vec![line.handle.clone(), state, output::time(line.since), can]
}

#[cfg(test)]
mod tests {
    use switchboard_model::Timestamp;

    use super::*;

    fn standing() -> Standing {
        let line = |handle: &str, online: bool| LineStanding {
            id: "ln_x".to_owned(),
            handle: handle.to_owned(),
            online,
            reason: (!online).then(|| "permission".to_owned()),
            since: Timestamp(1_795_843_214_907),
            capabilities: if online {
                vec!["typing".to_owned(), "reactions".to_owned()]
            } else {
                vec![]
            },
        };
        Standing {
            process: 4711,
            version: "0.1.0".to_owned(),
            driver: "imsg".to_owned(),
            server: "wss://sw.example.com/bridge/v1/link".to_owned(),
            started_at: Timestamp(1_795_843_000_000),
            written_at: Timestamp(1_795_843_300_000),
            linked_since: Some(Timestamp(1_795_843_200_000)),
            problem: None,
            lines: vec![line("+15550100001", true), line("bot@example.com", false)],
            files: FilesStanding::default(),
        }
    }

    #[test]
    fn a_bridge_is_shown_as_it_stands() {
        let linked = standing();
        let lost = Standing {
            linked_since: None,
            problem: Some("the server can't be dialled".to_owned()),
            ..standing()
        };
        let files = FilesStanding { converted: 12, not_converted: 1 };
        let bare = Standing { lines: Vec::new(), files, ..standing() };
        let all = [
            shown(true, None, Some(&linked)),
            shown(true, None, Some(&lost)),
            shown(true, None, Some(&bare)),
            shown(true, Some("No space left on device"), Some(&linked)),
            shown(false, None, Some(&linked)),
            shown(true, None, None),
            shown(false, None, None),
        ];
        insta::assert_snapshot!(all.join("\n---\n"));
    }
}
