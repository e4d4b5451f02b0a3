//! The simulator's memory: exact at whatever byte the process is killed.

use std::{fs, path::Path, sync::Arc};

use proptest::{prelude::*, test_runner::Config};
use switchboard_bridge::{Driver, KnownOutcome, Simulator, SimulatorOptions};
use switchboard_model::{
    Handle,
    id::Id,
    link::{CarriedLine, Outcome, SendItem},
    simulator::{ALWAYS_FAILS, ECHOES, Fault, FaultMode, SimulatedPhones},
};

use crate::{Ticks, asked, item, line, no_files};

fn open(path: &Path) -> Arc<Simulator> {
    Simulator::open(path, Arc::new(Ticks::default()), SimulatorOptions::default()).unwrap()
}

async fn carried(path: &Path, line: &CarriedLine) -> Arc<Simulator> {
    let simulator = open(path);
    simulator.assign_lines(vec![line.clone()]).await;
    simulator
}

/// What of these items the phones show and reconciliation says. They must say the same.
async fn landed(simulator: &Simulator, items: &[SendItem]) -> Vec<bool> {
    let ids: Vec<_> = items.iter().map(|item| item.id).collect();
    let outcomes = simulator.reconcile(&asked(&ids)).await.unwrap();
    let mut landed = Vec::new();
    for item in items {
        let phone = simulator.phone(&item.identifier.parse().unwrap()).await.messages;
        let shows = match &outcomes[&item.id] {
            KnownOutcome::Finished(Outcome::Sent { guid, .. }) => {
                assert_eq!(phone.iter().filter(|one| one.guid == *guid).count(), 1);
                true
            }
            KnownOutcome::Finished(other) => panic!("{other:?}"),
            KnownOutcome::NeverStarted => false,
        };
        landed.push(shows);
    }
    landed
}

#[tokio::test]
async fn a_journal_cut_at_any_byte_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, torn) = (folder.path().join("simulator.jsonl"), folder.path().join("torn.jsonl"));
    let (line, files) = (line(), no_files());
    let simulator = carried(&whole, &line).await;
    let phones = ["+15550100002", ECHOES, "+15550100003"];
    let items: Vec<_> = phones.map(|to| item(&line, Id::generate(), to, "x\u{e9}\n")).to_vec();
    for item in &items {
        assert!(matches!(simulator.send(item.clone(), &files).await, Outcome::Sent { .. }));
    }
    let bytes = fs::read(&whole).unwrap();
    let lines_in = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines_in(&bytes), 4);
    for cut in 0..=bytes.len() {
        fs::write(&torn, &bytes[..cut]).unwrap();
        let simulator = carried(&torn, &line).await;
        let whole_lines = lines_in(&bytes[..cut]);
        let shows: Vec<_> = (0..3).map(|at| at + 2 <= whole_lines).collect();
        assert_eq!(landed(&simulator, &items).await, shows, "cut at byte {cut}");
        // The echo is on the line exactly if the message is on the phone.
        if whole_lines >= 3 {
            let echo = simulator.history(line.id, None, 9, &files).await.unwrap();
            assert_eq!(echo.entries.len(), 1);
        }
        // It goes on from there, and what it writes is there the next time.
        let more = item(&line, Id::generate(), "+15550100004", "more");
        simulator.send(more.clone(), &files).await;
        drop(simulator);
        assert_eq!(landed(&open(&torn), &[more]).await, [true]);
    }
}

#[tokio::test]
async fn a_line_that_is_no_record_is_an_error_not_a_guess() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("simulator.jsonl");
    drop(open(&path));
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(b"{\"outcome\":\"the secret text\"}\n");
    fs::write(&path, bytes).unwrap();
    let opened = Simulator::open(&path, Arc::new(Ticks::default()), SimulatorOptions::default());
    let error = opened.err().expect("it must not open").to_string();
    assert!(error.contains("line 2") && !error.contains("secret"), "{error}");
}

#[tokio::test]
async fn refusals_and_lost_reports_are_reconciled_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("simulator.jsonl");
    let line = line();
    let simulator = carried(&path, &line).await;
    let to = |to| item(&line, Id::generate(), to, "x");
    let (failed, lost, refused, sent) =
        (to(ALWAYS_FAILS), to("+15550100002"), to("+15550100002"), to("+15550100002"));
    let once = |mode| Fault { mode, after: None, count: Some(1) };
    let fails = simulator.send(failed.clone(), &no_files()).await;
    assert!(matches!(fails, Outcome::Failed { .. }));
    simulator.fault(&line.handle, once(FaultMode::LoseReport)).await.unwrap();
    assert_eq!(simulator.send(lost.clone(), &no_files()).await, Outcome::Unknown);
    simulator.fault(&line.handle, once(FaultMode::Reject)).await.unwrap();
    let refuses = simulator.send(refused.clone(), &no_files()).await;
    assert!(matches!(refuses, Outcome::Failed { .. }));
    let sends = simulator.send(sent.clone(), &no_files()).await;
    assert!(matches!(sends, Outcome::Sent { .. }));
    // The same item again is the same outcome, not a second message.
    assert_eq!(simulator.send(sent.clone(), &no_files()).await, sends);

    drop(simulator);
    let simulator = open(&path);
    let outcomes =
        simulator.reconcile(&asked(&[failed.id, lost.id, refused.id, sent.id])).await.unwrap();
    assert_eq!(outcomes[&failed.id], KnownOutcome::Finished(fails));
    assert_eq!(outcomes[&lost.id], KnownOutcome::Finished(Outcome::Unknown));
    assert_eq!(outcomes[&refused.id], KnownOutcome::Finished(refuses));
    assert_eq!(outcomes[&sent.id], KnownOutcome::Finished(sends));
    let phone: Handle = "+15550100002".parse().unwrap();
    assert_eq!(simulator.phone(&phone).await.messages.len(), 2, "the lost one and the sent one");
}

#[tokio::test]
async fn a_journal_that_was_replaced_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.jsonl"), folder.path().join("new.jsonl"));
    let mut line = line();
    let simulator = carried(&old, &line).await;
    for text in ["1", "2", "3"] {
        simulator.send(item(&line, Id::generate(), ECHOES, text), &no_files()).await;
    }
    let batch = simulator.history(line.id, None, 2, &no_files()).await.unwrap();
    assert_eq!(batch.entries.len(), 2);
    let rest = simulator.history(line.id, Some(&batch.position), 9, &no_files()).await.unwrap();
    assert_eq!(rest.entries.len(), 1);

    // The server knows a place of the old life; it must not hide the new one's entries.
    line.position = Some(rest.position);
    let simulator = carried(&new, &line).await;
    simulator.send(item(&line, Id::generate(), ECHOES, "4"), &no_files()).await;
    let batch = simulator.history(line.id, line.position.as_deref(), 9, &no_files()).await.unwrap();
    assert_eq!(batch.entries.len(), 1);
}

#[tokio::test]
async fn a_long_and_outlived_journal_is_rewritten_and_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("simulator.jsonl");
    let mut line = line();
    let simulator = carried(&path, &line).await;
    let items: Vec<_> = (0..20).map(|_| item(&line, Id::generate(), ECHOES, "kept")).collect();
    for item in &items {
        simulator.send(item.clone(), &no_files()).await;
    }
    // The server has received half of it.
    let position = simulator.history(line.id, None, 10, &no_files()).await.unwrap().position;
    line.position = Some(position.clone());
    simulator.assign_lines(vec![line.clone()]).await;
    let left = simulator.history(line.id, Some(&position), 99, &no_files()).await.unwrap();
    drop(simulator);
    // Long outlived: what the server had long ago, said again and again.
    let received = fs::read_to_string(&path).unwrap().lines().last().unwrap().to_owned() + "\n";
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(received.repeat(9 * 1024 * 1024 / received.len()).into_bytes());
    fs::write(&path, &bytes).unwrap();

    drop(open(&path));
    assert!(fs::metadata(&path).unwrap().len() < 100_000);
    let simulator = carried(&path, &line).await;
    assert_eq!(landed(&simulator, &items).await, [true; 20]);
    assert_eq!(simulator.history(line.id, Some(&position), 99, &no_files()).await.unwrap(), left);
    // Numbers go on after those that were.
    simulator.send(item(&line, Id::generate(), ECHOES, "new"), &no_files()).await;
    let next = simulator.history(line.id, Some(&left.position), 99, &no_files()).await.unwrap();
    assert_eq!(next.entries.len(), 1);
}

proptest! {
    #![proptest_config(Config { cases: 32, ..Config::default() })]

    /// Killed at some byte, given again what reconciliation calls never started, killed again…: in the end each
    /// message stands on its phone exactly once.
    #[test]
    fn kills_and_reconciliations_never_lose_or_double(
        cuts in proptest::collection::vec(0.0..1.0f64, 1..5),
        count in 1usize..12,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("simulator.jsonl");
            let line = line();
            let phone = "+15550100002";
            let items: Vec<_> = (0..count)
                .map(|n| item(&line, Id::generate(), phone, &n.to_string()))
                .collect();
            for cut in cuts.into_iter().map(Some).chain([None]) {
                let simulator = carried(&path, &line).await;
                let there = landed(&simulator, &items).await;
                for (item, there) in items.iter().zip(there) {
                    if !there {
                        simulator.send(item.clone(), &no_files()).await;
                    }
                }
                drop(simulator);
                if let Some(cut) = cut {
                    let bytes = fs::read(&path).unwrap();
                    // Whole numbers of bytes within the file, whatever the rounding.
                    let keep = ((bytes.len() as f64 * cut) as usize).min(bytes.len());
                    fs::write(&path, &bytes[..keep]).unwrap();
                }
            }
            let simulator = open(&path);
            let mut texts: Vec<_> = simulator
                .phone(&phone.parse().unwrap())
                .await
                .messages
                .into_iter()
                .map(|message| message.text.unwrap().parse::<usize>().unwrap())
                .collect();
            texts.sort_unstable();
            assert_eq!(texts, (0..count).collect::<Vec<_>>());
        });
    }
}
