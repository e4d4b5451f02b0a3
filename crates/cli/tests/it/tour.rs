//! The tour in README.md, run as it stands there.
//!
//! Its steps are the blocks marked `sh tour`; they run in order, in one shell, against a development
//! server. [`crate::production`] does the same with the blocks of that section. A block marked `json tour` or `text tour` is what the step before it must print. In them,
//! `…` stands for what differs from run to run.

use std::{fmt::Write as _, fs, net::TcpListener, path::Path};

use serde_json::Value;

use crate::process::{ANY_PORT, Dev, run, without_settings};

/// Stands for anything.
const ANYTHING: &str = "…";

/// Separates what the steps print.
const MARK: &str = "=== end of step ===";

#[derive(Debug)]
pub(crate) struct Step {
    /// Of its first line, in the README.
    line: usize,
    pub(crate) script: String,
    printed: Option<Printed>,
}

#[derive(Debug)]
enum Printed {
    Json(Value),
    Text(String),
}

/// The steps of the README that are marked with this word.
pub(crate) fn readme(word: &str) -> Vec<Step> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let steps = steps(&fs::read_to_string(readme).unwrap(), word);
    assert!(!steps.is_empty(), "README.md has no block marked `sh {word}`");
    steps
}

/// Runs the steps in one shell, and holds what they print against what is shown. Returns what each has printed.
pub(crate) async fn run_steps(
    steps: &[Step],
    dir: &Path,
    settings: &[(&str, &str)],
) -> Vec<String> {
    let mut script = "set -eu\n".to_owned();
    for step in steps {
        // The mark stands on its own line even where a step's output has no end of line.
        write!(script, "{}\nprintf '\\n%s\\n' '{MARK}'\n", step.script).unwrap();
    }
    let mut shell = without_settings("sh");
    shell
        .args(["-c", &script])
        .current_dir(dir)
        .envs(settings.iter().copied())
        // A proxy of the machine that runs the tests is not on the way to loopback.
        .env("NO_PROXY", "*")
        .kill_on_drop(true);
    let done = run(&mut shell).await;
    let outputs: Vec<_> = done.stdout.split(&format!("\n{MARK}\n")).collect();
    for (at, step) in steps.iter().enumerate() {
        let output = outputs[at];
        let place = format!("README.md, line {}", step.line);
        assert!(at + 1 < outputs.len(), "{place}: the step fails: {}\n{output}", done.stderr);
        step.check(output).unwrap_or_else(|wrong| panic!("{place}: {wrong}\n{output}"));
    }
    // The backup is made while the server runs, of a folder in which it may write: the README says so.
    let mut said = done.stderr.lines().filter(|line| !line.ends_with("file changed as we read it"));
    assert_eq!((done.code, said.next()), (Some(0), None));
    outputs.into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_tour_of_the_readme_works_as_written() {
    let steps = readme("tour");
    let dir = tempfile::tempdir().unwrap();
    let dev = Dev::start(dir.path(), ANY_PORT).await;
    let port = TcpListener::bind(ANY_PORT).unwrap().local_addr().unwrap().port().to_string();
    let settings = [
        ("URL", dev.ready.api_url.as_str()),
        ("KEY", &dev.ready.api_key),
        ("OPERATOR", &dev.ready.operator_token),
        ("LINE", &dev.ready.line),
        ("HOOK_PORT", &port),
    ];
    run_steps(&steps, dir.path(), &settings).await;
    dev.stop().await;
}

/// The steps of a document that are marked with this word.
fn steps(document: &str, word: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = (1..).zip(document.lines());
    while let Some((line, fence)) = lines.next() {
        let Some(mark) = fence.strip_prefix("```") else { continue };
        let body = lines.by_ref().map(|(_, text)| text).take_while(|text| *text != "```");
        let body = body.collect::<Vec<_>>().join("\n");
        let printed = match mark.split_once(' ') {
            Some(("sh", marked)) if marked == word => {
                steps.push(Step { line, script: body, printed: None });
                continue;
            }
            Some(("json", marked)) if marked == word => Printed::Json(
                serde_json::from_str(&body)
                    .unwrap_or_else(|error| panic!("README.md, line {line}: {error}")),
            ),
            Some(("text", marked)) if marked == word => Printed::Text(body),
            _ => continue,
        };
        let step = steps.last_mut().expect("something is run before something is printed");
        assert!(step.printed.is_none(), "README.md, line {line}: the step has its output already");
        step.printed = Some(printed);
    }
    steps
}

impl Step {
    fn check(&self, output: &str) -> Result<(), String> {
        match &self.printed {
            None => Ok(()),
            Some(Printed::Json(wanted)) => {
                let found = serde_json::from_str(output).map_err(|error| error.to_string())?;
                check_json(wanted, &found, "the answer")
            }
            Some(Printed::Text(wanted)) => {
                let (wanted, found) = (wanted.trim(), output.trim());
                let fits = fits(wanted, found);
                fits.then_some(()).ok_or_else(|| format!("it is not what is shown: {wanted}"))
            }
        }
    }
}

/// Whether the found JSON has exactly the wanted fields and values; a string with `…` is a pattern,
/// and the pattern `…` alone also stands for numbers.
fn check_json(wanted: &Value, found: &Value, place: &str) -> Result<(), String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let names = wanted.keys().chain(found.keys());
            for name in names {
                let place = format!("{place}.{name}");
                match (wanted.get(name), found.get(name)) {
                    (Some(wanted), Some(found)) => check_json(wanted, found, &place)?,
                    (Some(_), None) => return Err(format!("{place} is missing")),
                    (None, _) => return Err(format!("{place} is not shown")),
                }
            }
            Ok(())
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            (wanted.iter().zip(found).enumerate()).try_for_each(|(at, (wanted, found))| {
                check_json(wanted, found, &format!("{place}[{at}]"))
            })
        }
        (Value::String(wanted), Value::String(found)) if fits(wanted, found) => Ok(()),
        // Not null: a reader who is shown a value relies on one.
        (Value::String(wanted), Value::Number(_)) if wanted == ANYTHING => Ok(()),
        (wanted, found) if wanted == found => Ok(()),
        (wanted, found) => Err(format!("{place} is {found} and shown as {wanted}")),
    }
}

/// Whether a text is what the pattern says, `…` standing for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once(ANYTHING) else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<_> = rest.split(ANYTHING).collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(tail)
}

#[test]
fn what_is_shown_is_held_to_the_letter_but_for_the_dots() {
    for (pattern, text, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("…", "anything", true),
        ("msg_…", "msg_1", true),
        ("msg_…", "obx_1", false),
        ("a…b…c", "a1b2c", true),
        ("a…b…c", "a1c", false),
        ("a…a", "a", false),
    ] {
        assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
    }
    let check = |wanted: &str, found: &str| {
        let parse = |text: &str| serde_json::from_str(text).unwrap();
        check_json(&parse(wanted), &parse(found), "it").is_ok()
    };
    assert!(check(r#"{"a":"…","b":["…"]}"#, r#"{"a":1,"b":["x"]}"#));
    for found in [r#"{"a":1}"#, r#"{"a":null,"b":["x"]}"#, r#"{"a":1,"b":[]}"#] {
        assert!(!check(r#"{"a":"…","b":["…"]}"#, found), "{found}");
    }
    assert!(!check(r#"{"a":"…"}"#, r#"{"a":1,"b":2}"#));

    let steps = steps(
        "```sh\nx\n```\n```sh tour\ny\n```\n```json tour\n{}\n```\n```sh tour\nz\n```",
        "tour",
    );
    let scripts: Vec<_> = steps.iter().map(|step| (step.line, step.script.as_str())).collect();
    assert_eq!(scripts, [(4, "y"), (10, "z")]);
    assert!(steps[0].printed.is_some() && steps[1].printed.is_none());
}
