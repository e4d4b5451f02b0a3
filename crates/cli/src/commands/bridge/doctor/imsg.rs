//! imsg: is the program there, is it new enough, may it read and send, is its helper in Messages?

mod ask;

use serde_json::Value;

pub(super) use ask::look;

use super::report::{Findings, masked};

/// From which version on it can be driven, and from which on well.
const NEEDED: [u32; 3] = [0, 14, 0];
const ADVISED: [u32; 3] = [0, 15, 1];

const INSTALL: &str = "brew install steipete/tap/imsg";
const UPDATE: &str = "brew update && brew upgrade imsg";
/// The pane has to be found; its name in System Settings has not changed since macOS 13.
const FULL_DISK: [&str; 4] = [
    "open \"x-apple.systempreferences:com.apple.preference.security?Privacy_AllFiles\"",
    "Switch Full Disk Access on for the program that starts the bridge: your terminal for 'bridge run', the switchboard \
     binary itself for the installed bridge (add it with +)",
    "Is it on already, and imsg, switchboard or macOS was updated? Switch it off and on again",
    "Start the terminal, or the bridge, anew",
];
const AUTOMATION: [&str; 3] = [
    "open \"x-apple.systempreferences:com.apple.preference.security?Privacy_Automation\"",
    "Switch Messages on below the program that starts the bridge",
    "If it is not in the list: send a text from this terminal with 'imsg send --to +1… --text test', and allow what macOS asks",
];

/// What was found out.
#[derive(Debug)]
pub(super) struct Facts {
    /// Where the program is; none if it was not found.
    pub(super) program: Option<String>,
    /// What was looked for.
    pub(super) wanted: String,
    /// What `imsg --version` says, or why it says nothing.
    pub(super) version: Result<String, String>,
    /// `imsg status --json`.
    pub(super) status: Option<Value>,
    /// `status` of `imsg rpc`, or why there is none.
    pub(super) rpc: Result<Value, String>,
    /// What conversations say of the accounts that Messages uses.
    pub(super) accounts: Vec<String>,
    pub(super) automation: Automation,
    /// The handles of the lines, where they are known.
    pub(super) lines: Vec<String>,
}

impl Facts {
    /// The program is not there, and nothing else is known.
    fn missing(wanted: String) -> Self {
        Self {
            program: None,
            wanted,
            version: Err(String::new()),
            status: None,
            rpc: Err(String::new()),
            accounts: Vec::new(),
            automation: Automation::Unknown,
            lines: Vec::new(),
        }
    }
}

/// Whether this terminal may steer Messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Automation {
    Allowed,
    Denied,
    /// It may, and nobody is signed in.
    SignedOut,
    /// Messages is not open.
    Closed,
    /// It asks, and nobody has answered.
    Asks,
    /// No way to ask.
    Unknown,
}

pub(super) fn judge(facts: &Facts) -> Findings {
    let mut findings = Findings::of("imsg");
    let Some(program) = &facts.program else {
        findings.problem(
            "program",
            format!("the program {} is not there", facts.wanted),
            &[INSTALL, "Or name it with --imsg, if it is in a place of its own: --imsg /opt/homebrew/bin/imsg"],
        );
        return findings;
    };
    if !version(&mut findings, program, &facts.version) {
        return findings;
    }
    let rpc = match &facts.rpc {
        Ok(rpc) => rpc,
        Err(why) => {
            findings.problem(
                "rpc",
                format!("'imsg rpc' does not answer: {why}"),
                &[&format!("Run '{program} rpc' by hand and type {{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}}"), UPDATE],
            );
            return findings;
        }
    };
    let readable = database(&mut findings, rpc);
    sending(&mut findings, rpc, facts.automation);
    helper(&mut findings, rpc, facts.status.as_ref());
    if readable {
        account(&mut findings, &facts.accounts, &facts.lines);
    }
    findings
}

/// Judges the version. False if nothing else can be asked.
fn version(findings: &mut Findings, program: &str, said: &Result<String, String>) -> bool {
    let said = match said {
        Ok(said) => said,
        Err(why) => {
            findings.problem(
                "program",
                format!("{program} can't be run: {why}"),
                &[&format!("Does '{program} --version' work by hand?"), INSTALL],
            );
            return false;
        }
    };
    let Some(version) = numbers(said) else {
        findings.problem(
            "version",
            format!("{program} does not say which version it is"),
            &["Is it openclaw/imsg? Another program of this name may come first in PATH; name the right one with --imsg", UPDATE],
        );
        return false;
    };
    if version < NEEDED {
        findings.problem(
            "version",
            format!("imsg is version {said}; it has to be 0.14 or newer: older ones can't say whether a message went out"),
            &[UPDATE],
        );
        return false;
    }
    match version < ADVISED {
        true => findings.warning(
            "version",
            format!("imsg is version {said}; from 0.15.1 on it names what it sends, so less stays unknown after a crash"),
            &[UPDATE],
        ),
        false => findings.ok("version", format!("{program} is version {said}")),
    }
    true
}

/// `0.15.10`, perhaps with more behind it.
fn numbers(said: &str) -> Option<[u32; 3]> {
    let version =
        said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let first = parts.next()?.ok()?;
    let mut next = || parts.next().and_then(Result::ok).unwrap_or(0);
    Some([first, next(), next()])
}

/// Whether the database can be read.
fn database(findings: &mut Findings, rpc: &Value) -> bool {
    let database = &rpc["database"];
    if database["ready"] == true {
        findings.ok("database", "the database of Messages can be read from this terminal");
        return true;
    }
    let why = database["error"].as_str().unwrap_or("no reason was given");
    let denied = ["authorization denied", "operation not permitted", "permission"];
    let lower = why.to_lowercase();
    if lower.contains("locked") || lower.contains("busy") {
        findings.problem(
            "database",
            format!("the database of Messages is locked by another program: {why}"),
            &["End what reads or copies ~/Library/Messages (a backup, another tool), then ask again"],
        );
    } else if denied.iter().any(|word| lower.contains(word)) || !lower.contains("no such file") {
        let advice: Vec<&str> = FULL_DISK.to_vec();
        findings.problem(
            "database",
            format!("the database of Messages can't be read: {why}"),
            &advice,
        );
    } else {
        findings.problem(
            "database",
            format!("the database of Messages is not there: {why}"),
            &["Open Messages and sign in; the database is made then", "Is --db right?"],
        );
    }
    false
}

fn sending(findings: &mut Findings, rpc: &Value, automation: Automation) {
    if !has(rpc, "send") {
        findings.problem(
            "sending",
            "this build of imsg can't send: the one for Linux only reads",
            &["Run the bridge on the Mac that is signed in to Messages"],
        );
        return;
    }
    match automation {
        Automation::Allowed => findings.ok("automation", "this terminal may steer Messages; an installed bridge has permissions of its own"),
        Automation::Denied => {
            findings.problem("automation", "macOS does not let this terminal steer Messages", &AUTOMATION);
        }
        Automation::Asks => findings.problem(
            "automation",
            "macOS asks on the Mac's screen whether this terminal may steer Messages, and nobody has answered",
            &["Answer with OK on the screen (also over Screen Sharing), then ask again"],
        ),
        Automation::SignedOut => findings.problem(
            "account",
            "nobody is signed in to Messages",
            &["Open Messages and sign in with the Apple ID of the line"],
        ),
        Automation::Closed => findings.warning(
            "automation",
            "Messages is not open, so whether it may be steered can't be found out",
            &["open -a Messages, then ask again. Let it open by itself: System Settings > General > Login Items"],
        ),
        Automation::Unknown => findings.warning(
            "automation",
            "whether Messages may be steered can't be found out from here",
            &["Run the doctor in a terminal on the Mac itself"],
        ),
    }
}

fn has(rpc: &Value, method: &str) -> bool {
    rpc["methods"].as_array().is_some_and(|all| all.iter().any(|one| one == method))
}

fn helper(findings: &mut Findings, rpc: &Value, status: Option<&Value>) {
    let status = status.unwrap_or(&Value::Null);
    if status["helper_version_mismatch"] == true {
        let old = status["helper_version"].as_str().unwrap_or("another version");
        findings.warning(
            "helper",
            format!("the helper in Messages is of another version ({old}) than imsg"),
            &["imsg launch: it starts Messages anew with the helper of this version"],
        );
        return;
    }
    if rpc["bridge"]["ready"] == true {
        findings.ok("helper", "the helper is in Messages: reactions, typing, read receipts, replies and audio messages work");
        return;
    }
    let without = "the helper is not in Messages: texts and files work, and no reactions, typing, read receipts, replies \
                   or audio messages";
    match status["sip"].as_str() {
        Some("disabled") => findings.warning(
            "helper",
            without,
            &[
                "imsg launch",
                "If that times out: sudo defaults write /Library/Preferences/com.apple.security.libraryvalidation.plist \
                 DisableLibraryValidation -bool true, restart the Mac, and imsg launch again",
            ],
        ),
        _ => findings.warning(
            "helper",
            without,
            &[
                "If that is enough for you, leave it so: the helper needs System Integrity Protection to be off",
                "Otherwise docs/imsg.md, \"The helper\", says what to weigh and what to do",
            ],
        ),
    }
}

/// Whether somebody is signed in, and as whom.
fn account(findings: &mut Findings, accounts: &[String], lines: &[String]) {
    if accounts.is_empty() {
        findings.warning(
            "account",
            "whether Messages is signed in can't be told: it has no conversation yet",
            &["Open Messages, sign in, and send one message to somebody"],
        );
        return;
    }
    let shown = accounts.iter().map(|one| masked(one)).collect::<Vec<_>>().join(", ");
    let foreign: Vec<_> = lines.iter().filter(|line| !accounts.contains(line)).collect();
    if foreign.is_empty() {
        findings.ok("account", format!("Messages uses {shown}"));
        return;
    }
    let foreign = foreign.into_iter().map(|one| masked(one)).collect::<Vec<_>>().join(", ");
    findings.warning(
        "account",
        format!("Messages uses {shown}, and not {foreign}, which this bridge is to carry"),
        &[
            "Messages > Settings > iMessage: switch the number or address on under \"You can be reached at\"",
            "Or the line has the wrong handle: switchboard admin lines list",
        ],
    );
}
