//! What the system says of this process, under the names that every exporter gives them.

use std::time::Duration;

use prometheus_client::registry::Unit;

use super::figures::{Figure, Value};

/// What there is to be told on this system.
pub(super) fn figures() -> Vec<Figure> {
    let Some(process) = Process::read() else { return Vec::new() };
    let cpu = Figure::counter("process_cpu", "User and system time that the process has used");
    let start = Figure::gauge("process_start_time", "When the process began, in Unix time");
    let mut figures = vec![
        cpu.unit(Unit::Seconds).with(Vec::new(), Value::Sum(process.cpu.as_secs_f64())),
        start.unit(Unit::Seconds).with(Vec::new(), Value::Level(process.started)),
        Figure::gauge("process_resident_memory", "Memory that the process has in RAM")
            .unit(Unit::Bytes)
            .level(process.resident_bytes),
        Figure::gauge("process_threads", "Threads of the process").level(process.threads),
    ];
    if let Some(open) = process.open_files {
        figures
            .push(Figure::gauge("process_open_fds", "File descriptors that are open").level(open));
    }
    if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        figures.push(
            Figure::gauge("process_max_fds", "File descriptors that may be open").level(most),
        );
    }
    figures
}

struct Process {
    cpu: Duration,
    started: f64,
    resident_bytes: u64,
    threads: u64,
    open_files: Option<u64>,
}

impl Process {
    /// From /proc, as proc(5) describes it; none where there is none.
    fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name before it may hold anything, blanks and brackets too.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = rustix::param::clock_ticks_per_second();
        let millis = |time: u64| time.checked_mul(1000)?.checked_div(ticks);
        let boot = std::fs::read_to_string("/proc/stat").ok()?;
        let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?;
        let boot: u64 = boot.trim().parse().ok()?;
        let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages: u64 = pages.split_ascii_whitespace().nth(1)?.parse().ok()?;
        let open_files = std::fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count() as u64);
        Some(Self {
            cpu: Duration::from_millis(millis(field(14)? + field(15)?)?),
            started: boot as f64 + millis(field(22)?)? as f64 / 1000.0,
            resident_bytes: pages * rustix::param::page_size() as u64,
            threads: field(20)?,
            open_files,
        })
    }
}
