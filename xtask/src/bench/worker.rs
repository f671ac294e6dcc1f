//! Processes that do the timed work: long-lived workers that answer line by line, and programs run once.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// One run of one series.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    pub nanoseconds: f64,
    /// Operations that the mathematics needs; 0 where nobody counted.
    pub operations: f64,
    /// Largest resident memory, bytes; 0 where nobody looked.
    pub memory: f64,
}

/// A process that answers `NANOSECONDS OPERATIONS` or `error WHY` to each line.
pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    pub(crate) fn start(command: &mut Command) -> Result<Worker, std::io::Error> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (input, output) = (input.expect("piped"), output.expect("piped"));
        Ok(Worker { child, input, output: BufReader::new(output) })
    }

    pub(crate) fn ask(&mut self, case: &str) -> Result<Sample, String> {
        let said = writeln!(self.input, "{case}").and_then(|()| self.input.flush());
        said.map_err(|error| format!("the worker has ended: {error}"))?;
        let mut answer = String::new();
        self.output.read_line(&mut answer).map_err(|error| error.to_string())?;
        parse(&answer)
    }
}

fn parse(answer: &str) -> Result<Sample, String> {
    if let Some(why) = answer.strip_prefix("error ") {
        return Err(why.trim().to_owned());
    }
    let mut numbers = answer.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(nanoseconds)), Some(Ok(operations)), None) => {
            Ok(Sample { nanoseconds, operations, memory: 0.0 })
        }
        _ => Err(format!("expected `NANOSECONDS OPERATIONS`, the worker said `{}`", answer.trim())),
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It waits for lines that will not come; its results are all here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program once, from start to end, and watches its memory where the system tells (Linux). `fine` are the exit
/// codes of a run that did its work.
pub(crate) fn run_program(program: &Path, arguments: &[String], fine: &[i32]) -> Result<Sample, String> {
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut memory = 0.0;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        if let Some(bytes) = std::fs::read_to_string(&status_file).ok().as_deref().and_then(high_water) {
            memory = bytes;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let nanoseconds = started.elapsed().as_nanos() as f64;
    match status.code() {
        Some(code) if fine.contains(&code) => Ok(Sample { nanoseconds, operations: 0.0, memory }),
        _ => Err(format!("{} {}: {status}", program.display(), arguments.join(" "))),
    }
}

/// `VmHWM` of a status file of Linux, in bytes.
fn high_water(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_numbers_or_a_reason() {
        assert_eq!(parse("1500 2e9\n"), Ok(Sample { nanoseconds: 1500.0, operations: 2e9, memory: 0.0 }));
        assert_eq!(parse("error no such case\n"), Err("no such case".to_owned()));
        for wrong in ["", "12", "fast 3", "1 2 3"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn peak_memory_is_read_in_bytes() {
        assert_eq!(high_water("Name:\tx\nVmHWM:\t    2048 kB\n"), Some(2_097_152.0));
        assert_eq!(high_water("VmPeak:\t 5 kB\n"), None);
    }
}
