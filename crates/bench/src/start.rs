//! `start`: from nothing to ready, at rest, and on disk: what the release binary asks of a machine.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::Child,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use crate::{
    machine::Machine,
    process::{binary, command, resident_kib},
    report::{Figure, Report, median},
};

/// Starts that are measured.
const STARTS: usize = 10;
/// How long a server has been ready when its memory is looked at.
const REST: Duration = Duration::from_secs(2);
const MIB: f64 = 1024.0 * 1024.0;

pub(crate) async fn run(machine: Machine) -> anyhow::Result<Report> {
    let binary = binary()?;
    let (mut ceilings, mut starts) = (Vec::new(), Vec::new());
    // One for the page cache.
    drop(start(&binary)?);
    for _ in 0..STARTS {
        ceilings.push(version_ms(&binary)?);
        starts.push(start(&binary)?.ready_ms);
    }
    let idle = start(&binary)?;
    tokio::time::sleep(REST).await;
    let resident = idle.resident_mib()?;
    drop(idle);
    let size = fs::metadata(&binary)?.len() as f64 / 1e6;
    let slowest = starts.iter().copied().fold(0.0, f64::max);
    Ok(Report {
        benchmark: "start",
        machine,
        rounds: STARTS,
        rows: vec![],
        figures: vec![
            Figure::plain("ceiling: switchboard --version", median(ceilings), "ms"),
            Figure::plain("start to ready, empty directory", median(starts), "ms").below(500.0),
            Figure::plain("the slowest of them", slowest, "ms"),
            Figure::plain("resident, 2 s after ready", resident, "MiB").below(40.0),
            Figure::plain("size of the binary", size, "MB").below(40.0),
        ],
    })
}

fn version_ms(binary: &Path) -> anyhow::Result<f64> {
    let began = Instant::now();
    let output = command(binary).arg("--version").output()?;
    ensure!(output.status.success(), "switchboard --version fails");
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

/// A development server that is ready. Ends when it is dropped.
struct Started {
    child: Child,
    ready_ms: f64,
    _dir: tempfile::TempDir,
}

fn start(binary: &Path) -> anyhow::Result<Started> {
    let dir = tempfile::tempdir()?;
    let mut command = command(binary);
    command.args(["dev", "--json", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir.path());
    let began = Instant::now();
    let child = command.spawn()?;
    let mut started = Started { child, ready_ms: 0.0, _dir: dir };
    let stdout = started.child.stdout.take().context("stdout is a pipe")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    started.ready_ms = began.elapsed().as_secs_f64() * 1000.0;
    ensure!(line.contains("\"api_url\""), "switchboard dev did not get ready");
    Ok(started)
}

impl Started {
    fn resident_mib(&self) -> anyhow::Result<f64> {
        Ok(resident_kib(self.child.id())? * 1024.0 / MIB)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
