//! What the doctor says: one line a check, and below it what to do now.

use std::io::IsTerminal as _;

use serde::Serialize;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    /// It works, and not as well as it could.
    Warning,
    /// It does not work.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) section: &'static str,
    /// What was looked at, by a name that stays.
    pub(super) check: &'static str,
    pub(super) level: Level,
    pub(super) found: String,
    /// What to do now, a step each.
    pub(super) advice: Vec<String>,
}

/// Collects what a part of the doctor finds.
#[derive(Debug)]
pub(super) struct Findings {
    section: &'static str,
    pub(super) checks: Vec<Check>,
}

impl Findings {
    pub(super) fn of(section: &'static str) -> Self {
        Self { section, checks: Vec::new() }
    }

    fn add(
        &mut self,
        check: &'static str,
        level: Level,
        found: impl Into<String>,
        advice: &[&str],
    ) {
        let advice = advice.iter().map(|&step| step.to_owned()).collect();
        let (section, found) = (self.section, found.into());
        self.checks.push(Check { section, check, level, found, advice });
    }

    pub(super) fn ok(&mut self, check: &'static str, found: impl Into<String>) {
        self.add(check, Level::Ok, found, &[]);
    }

    pub(super) fn warning(
        &mut self,
        check: &'static str,
        found: impl Into<String>,
        advice: &[&str],
    ) {
        self.add(check, Level::Warning, found, advice);
    }

    pub(super) fn problem(
        &mut self,
        check: &'static str,
        found: impl Into<String>,
        advice: &[&str],
    ) {
        self.add(check, Level::Problem, found, advice);
    }
}

/// All that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether there is no problem.
    pub(super) ok: bool,
    pub(super) problems: usize,
    pub(super) warnings: usize,
    pub(super) checks: Vec<Check>,
}

impl Report {
    pub(super) fn of(checks: Vec<Check>) -> Self {
        let count = |level| checks.iter().filter(|check| check.level == level).count();
        let problems = count(Level::Problem);
        Self { ok: problems == 0, problems, warnings: count(Level::Warning), checks }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let mut text = String::new();
        let mut section = "";
        for check in &self.checks {
            if check.section != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                text += &format!("{gap}{}\n", check.section);
                section = check.section;
            }
            text += &format!("  {} {}\n", mark(check.level, colour), check.found);
            for step in &check.advice {
                text += &format!("          → {step}\n");
            }
        }
        text += &format!("\n{}", self.summary());
        text
    }

    fn summary(&self) -> String {
        let some = |count: usize, name: &str| match count {
            0 => None,
            1 => Some(format!("1 {name}")),
            _ => Some(format!("{count} {name}s")),
        };
        let found = [some(self.problems, "problem"), some(self.warnings, "warning")];
        let found: Vec<_> = found.into_iter().flatten().collect();
        match (self.ok, found.is_empty()) {
            (true, true) => "All is well.".to_owned(),
            (true, false) => format!("It works, with {}.", found.join(" and ")),
            (false, _) => {
                format!(
                    "{}. Do what stands below the first problem, then ask again.",
                    found.join(", ")
                )
            }
        }
    }
}

fn mark(level: Level, colour: bool) -> String {
    let (name, code) = match level {
        Level::Ok => ("OK", "32"),
        Level::Warning => ("WARNING", "33"),
        Level::Problem => ("PROBLEM", "31"),
    };
    match colour {
        true => format!("\x1b[{code}m{name:<7}\x1b[0m"),
        false => format!("{name:<7}"),
    }
}

/// A handle that its owner knows again, and nobody else reads out of what is pasted somewhere.
pub(super) fn masked(handle: &str) -> String {
    let letters: Vec<char> = handle.chars().collect();
    let (shown_first, shown_last) = match handle.find('@') {
        Some(at) => (1, handle[at..].chars().count()),
        None => (3, 3),
    };
    if letters.len() <= shown_first + shown_last {
        return handle.to_owned();
    }
    let first: String = letters[..shown_first].iter().collect();
    let last: String = letters[letters.len() - shown_last..].iter().collect();
    format!("{first}…{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_masked() {
        assert_eq!(masked("+15550100001"), "+15…001");
        assert_eq!(masked("bot@example.com"), "b…@example.com");
        assert_eq!(masked("262966"), "262966");
        assert_eq!(masked(""), "");
    }
}
