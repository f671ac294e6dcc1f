//! `cargo xtask bench`: ours and, where there is a Python environment, the peers, interleaved round by round.
//!
//! A group is a list of series. Each round runs every series once, so that a machine that slows down slows all of them;
//! figures are medians over the rounds, ratios are of medians of the same run.

mod groups;
mod report;
mod worker;

use std::collections::HashMap;
use std::path::PathBuf;

use crate::task::{self, Failure, Step};
use groups::Runner;
use worker::{Sample, Worker};

const HELP: &str = "\
usage: cargo xtask bench [GROUP ...] [--peers VENV] [--json FILE] [--rounds N] [--dry]

  GROUP          flow, backbone, resnet (with --peers), train, inspect or metrics; all of them if none is named
  --peers VENV   Python environment with torch, timm, FrEIA 0.2, onnx and onnxruntime (openvino if there)
  --json FILE    every sample of every series
  --rounds N     rounds, at least 1 [default: 7]
  --dry          print only: leave the tables of docs/performance.md as they are
";

/// Rounds without `--rounds`.
const ROUNDS: usize = 7;

/// What was typed.
struct Plan {
    groups: Vec<&'static str>,
    peers: Option<PathBuf>,
    json: Option<PathBuf>,
    rounds: usize,
    dry: bool,
}

impl Plan {
    /// The command for others to repeat it: their paths are not those of this machine.
    fn command(&self) -> String {
        let peers = if self.peers.is_some() { " --peers VENV" } else { "" };
        format!("cargo xtask bench {}{peers} --rounds {}", self.groups.join(" "), self.rounds)
    }
}

/// Something that is timed once a round.
pub(crate) struct Series {
    /// What is done.
    work: String,
    /// Who does it.
    engine: String,
    runner: Runner,
    /// The series that this one is held against.
    against: Option<usize>,
    /// Largest ratio of medians that is good enough.
    bar: Option<f64>,
    /// The same work with one thread, and how many times its throughput is good enough.
    scaling: Option<(usize, f64)>,
    /// The peak of the machine, for the share of it.
    peak: Option<usize>,
}

/// A series with its samples; none if it could not be run.
pub(crate) struct Measured {
    series: Series,
    samples: Vec<Sample>,
}

impl Measured {
    fn sorted_ms(&self) -> Vec<f64> {
        let mut sorted: Vec<f64> = self.samples.iter().map(|sample| sample.nanoseconds / 1e6).collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    fn median_ms(&self) -> Option<f64> {
        let sorted = self.sorted_ms();
        sorted.get(sorted.len() / 2).copied()
    }

    fn fastest_ms(&self) -> Option<f64> {
        self.sorted_ms().first().copied()
    }
}

/// Runs the groups asked for.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        print!("{HELP}");
        return Ok(());
    }
    let plan = plan(arguments)?;
    task::run_all(&[
        Step::cargo(&["build", "--release", "-p", "bgad-cli"]),
        Step::cargo(&["bench", "--no-run", "-p", "bgad", "--bench", "worker"]),
    ])?;
    let scratch = task::scratch("bench");
    std::fs::create_dir_all(&scratch).map_err(|source| Failure::Folder { path: scratch.clone(), source })?;
    let mut all = Vec::new();
    for group in &plan.groups {
        let mut workers = HashMap::new();
        let series = groups::series(group, plan.peers.as_deref(), &scratch, &mut workers)?;
        let measured = measure(group, series, plan.rounds, &mut workers);
        print!("{}", report::table(group, &measured));
        all.push((*group, measured));
    }
    if let Some(path) = &plan.json {
        report::write(path, &report::json(&all))?;
    }
    if !plan.dry {
        let command = plan.command();
        let page = task::root().join("docs/performance.md");
        let text =
            std::fs::read_to_string(&page).map_err(|source| Failure::File { path: page.clone(), source })?;
        report::write(&page, &report::replace_tables(&text, &all, &command, plan.rounds))?;
    }
    Ok(())
}

fn plan(arguments: &[String]) -> Result<Plan, Failure> {
    let mut plan = Plan { groups: Vec::new(), peers: None, json: None, rounds: ROUNDS, dry: false };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| Failure::usage(format!("`{word}` needs a value")));
        match word.as_str() {
            "--peers" => plan.peers = Some(PathBuf::from(value()?)),
            "--json" => plan.json = Some(PathBuf::from(value()?)),
            "--rounds" => {
                let text = value()?;
                plan.rounds = text.parse().ok().filter(|&n| n > 0).ok_or_else(|| {
                    Failure::usage(format!("`--rounds` needs a number from 1, found `{text}`"))
                })?;
            }
            "--dry" => plan.dry = true,
            name => match groups::NAMES.into_iter().find(|known| *known == name) {
                Some(group) => plan.groups.push(group),
                None => return Err(Failure::usage(format!("`bench` knows no `{name}`\n\n{HELP}"))),
            },
        }
    }
    if plan.groups.is_empty() {
        plan.groups = groups::NAMES.to_vec();
    }
    Ok(plan)
}

/// Runs every series once a round. One that fails is reported once and left out from then on.
fn measure(
    group: &str,
    series: Vec<Series>,
    rounds: usize,
    workers: &mut HashMap<String, Worker>,
) -> Vec<Measured> {
    let mut measured: Vec<Measured> =
        series.into_iter().map(|series| Measured { series, samples: Vec::new() }).collect();
    let mut failed = vec![false; measured.len()];
    for round in 0..rounds {
        eprintln!("xtask: {group}, round {} of {rounds}", round + 1);
        for (one, failed) in measured.iter_mut().zip(&mut failed).filter(|(_, failed)| !**failed) {
            match one.series.runner.run(workers) {
                Ok(sample) => one.samples.push(sample),
                Err(message) => {
                    eprintln!("xtask: left out: {} with {}: {message}", one.series.work, one.series.engine);
                    *failed = true;
                    one.samples.clear();
                }
            }
        }
    }
    measured
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_refused_before_anything_runs() {
        for (words, want) in
            [(&["flwo"][..], "`flwo`"), (&["--rounds", "0"], "`0`"), (&["--json"], "`--json` needs a value")]
        {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            let message = plan(&words).err().expect("must be refused").to_string();
            assert!(message.contains(want), "{message}");
        }
    }

    #[test]
    fn no_group_is_every_group() {
        let plan = plan(&["--rounds".to_owned(), "3".to_owned()]).expect("a plan");
        assert_eq!((plan.groups.as_slice(), plan.rounds), (&groups::NAMES[..], 3));
    }

    #[test]
    fn the_command_on_the_page_has_no_path_of_this_machine() {
        let words = ["flow", "--peers", "/home/me/venv", "--json", "/tmp/x.json"].map(str::to_owned);
        let command = plan(&words).expect("a plan").command();
        assert_eq!(command, "cargo xtask bench flow --peers VENV --rounds 7");
    }
}
