//! Holds `FAULTS.md` to the sources: each test that it names is there, and each row names one.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

use std::{fs, path::Path};

/// The workspace's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().parent().unwrap()
}

/// Whether a function of a file runs as a test: it is one, or a test of the same file calls it.
fn runs(source: &str, name: &str) -> bool {
    let Some(at) = source.find(&format!("fn {name}(")) else { return false };
    let head = source[..at].rsplit("\n\n").next().unwrap();
    let is_test = head.contains("#[test]") || head.contains("#[tokio::test");
    is_test || source.matches(&format!("{name}(")).count() > 1
}

#[test]
fn each_row_names_a_test_that_is_there() {
    let page = include_str!("FAULTS.md");
    let (mut rows, mut faults) = (0, Vec::new());
    for line in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| What ")) {
        rows += 1;
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [_, tests, _] = cells[..] else {
            faults.push(format!("not three cells: {line}"));
            continue;
        };
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            faults.push(format!("no test: {line}"));
        }
        for test in named {
            let there = test.split_once("::").is_some_and(|(file, name)| {
                fs::read_to_string(root().join(file)).is_ok_and(|source| runs(&source, name))
            });
            if !there {
                faults.push(format!("no such test: {test}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(rows > 50, "only {rows} rows were found");
}
