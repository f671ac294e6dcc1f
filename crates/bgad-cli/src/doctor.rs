//! `bgad doctor`: what is wrong with a data folder.

use std::io::{self, Write};

use bgad::backbone::Backbone;
use bgad::dataset::doctor::{Checkup, DoctorOptions, Severity, examine};
use bgad::options::DEFAULT_BACKBONE;

use crate::args::DoctorArgs;
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::machine;
use crate::progress::CountProgress;

pub(crate) fn run(args: &DoctorArgs) -> Result<Outcome, Failure> {
    let isa = machine::isa()?;
    machine::use_threads(args.threads)?;
    let backbone = if args.quick { None } else { Some(Backbone::embedded(DEFAULT_BACKBONE, isa)?) };
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
        table(&mut out, &checkup)?;
    }
    out.flush()?;
    Ok(Outcome::of(checkup.count(Severity::Error) + checkup.count(Severity::Warning), 0))
}

/// The findings of each check under one heading, its fix once.
fn table(out: &mut impl Write, checkup: &Checkup) -> io::Result<()> {
    for group in
        checkup.findings.chunk_by(|a, b| (a.severity, a.check, a.fix) == (b.severity, b.check, b.fix))
    {
        let first = &group[0];
        writeln!(out, "{}  {}: {}", first.severity, first.check, first.fix)?;
        for finding in group {
            let file = if finding.file.is_empty() { "(all)" } else { &finding.file };
            writeln!(out, "  {}: {}", printable(file), finding.problem)?;
        }
        writeln!(out)?;
    }
    let counts = [Severity::Error, Severity::Warning, Severity::Note].map(|severity| checkup.count(severity));
    writeln!(
        out,
        "{} good and {} defective images: {} errors, {} warnings, {} notes",
        checkup.good, checkup.defective, counts[0], counts[1], counts[2]
    )
}

/// A file's name may hold anything; a terminal should not obey it.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
