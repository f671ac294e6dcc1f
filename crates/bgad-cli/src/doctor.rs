//! `bgad doctor`: what is wrong with a data folder.

use std::io::{self, Write};
use std::path::Path;

use bgad::backbone::Backbone;
use bgad::calibrate::session::worth_holding_out;
use bgad::dataset::doctor::{Checkup, DoctorOptions, Next, Severity, examine};
use bgad::options::DEFAULT_BACKBONE;
use bgad::printable;

use crate::args::DoctorArgs;
use crate::calibrate::{CONFIDENCE, rate_as_typed};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::progress::CountProgress;
use crate::{machine, shell};

pub(crate) fn run(args: &DoctorArgs) -> Result<Outcome, Failure> {
    machine::use_threads(args.threads)?;
    let backbone = if args.quick { None } else { Some(Backbone::embedded(DEFAULT_BACKBONE)?) };
    let options = DoctorOptions { input: args.input, backbone: backbone.as_ref() };
    let mut progress: Option<CountProgress> = None;
    let checkup = examine(&args.data, &options, &mut |so_far| {
        progress.get_or_insert_with(|| CountProgress::new("reading images", so_far.total)).set(so_far.done);
    })?;
    drop(progress);

    let mut out = crate::out::text();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &checkup)?;
        writeln!(out)?;
    } else {
        table(&mut out, &checkup, &args.data)?;
    }
    out.flush()?;
    Ok(Outcome::of(checkup.count(Severity::Error) + checkup.count(Severity::Warning), 0))
}

/// Columns that a line has at most.
const COLUMNS: usize = 80;

/// The findings of each check under one heading, first what was found, then what to do, once.
fn table(out: &mut impl Write, checkup: &Checkup, data: &Path) -> io::Result<()> {
    for group in
        checkup.findings.chunk_by(|a, b| (a.severity, a.check, a.fix) == (b.severity, b.check, b.fix))
    {
        let first = &group[0];
        let files = if group.len() == 1 { String::new() } else { format!(" ({})", group.len()) };
        writeln!(out, "{}: {}{files}", first.severity, first.check)?;
        for finding in group {
            let file = if finding.file.is_empty() { "all" } else { &finding.file };
            wrapped(out, "  ", &format!("{}: {}", printable::text(file), finding.problem))?;
        }
        wrapped(out, "  to do: ", first.fix)?;
        writeln!(out)?;
    }
    let counts = checkup.counts;
    let good = counts.train_good + counts.test_good;
    let bad = counts.train_bad + counts.test_bad;
    wrapped(
        out,
        "",
        &format!(
            "{} ({} for training, {} for testing), {} ({} with a mask), {} not used",
            plural(good, "good image"),
            counts.train_good,
            counts.test_good,
            plural(bad, "defective image"),
            counts.with_mask,
            plural(counts.unused, "file")
        ),
    )?;
    let [errors, warnings, notes] =
        [Severity::Error, Severity::Warning, Severity::Note].map(|severity| checkup.count(severity));
    writeln!(out, "{}, {}, {}", plural(errors, "error"), plural(warnings, "warning"), plural(notes, "note"))?;
    let data = shell::quoted(data);
    match checkup.next() {
        Next::Train => {
            // Of good images that the folder does not divide itself, some go to the test.
            let divided = counts.test_good > 0;
            let for_training = if divided { counts.train_good } else { counts.train_good * 4 / 5 };
            let hold_out = match worth_holding_out(for_training, CONFIDENCE) {
                Some(share) => format!(" --hold-out {}", rate_as_typed(share)),
                None => String::new(),
            };
            writeln!(out, "\nnext\n  bgad train {data} -o part.bgad{hold_out}")
        }
        Next::Repair => writeln!(out, "\nnext, once the errors are repaired\n  bgad doctor {data}"),
    }
}

/// A number and what it counts.
fn plural(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// A text in lines of 80 columns; those after the first are indented by four.
fn wrapped(out: &mut impl Write, start: &str, text: &str) -> io::Result<()> {
    let mut line = start.to_owned();
    let mut is_bare = true;
    for word in text.split(' ') {
        if !is_bare && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            writeln!(out, "{}", line.trim_end())?;
            line = "    ".to_owned();
            is_bare = true;
        }
        if !is_bare {
            line.push(' ');
        }
        line.push_str(word);
        is_bare = false;
    }
    writeln!(out, "{}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_before_the_edge() {
        let mut out = Vec::new();
        wrapped(&mut out, "  ", &["a/name.png:", &"word ".repeat(40)].join(" ")).expect("memory");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.lines().count() > 2 && text.lines().all(|line| line.len() <= COLUMNS), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    word")), "{text}");
    }
}
