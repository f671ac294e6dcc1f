//! `bgad inspect --manifest`: the images of a list, one row for each.

use std::path::Path;
use std::time::{Duration, Instant};

use bgad::archive::{Entry, Job, Manifest, Output, Row};
use bgad::detector::Detector;
use bgad::verdict::Verdict;
use rayon::prelude::*;

use crate::args::ArchiveArgs;
use crate::exit::Outcome;
use crate::failure::{Failure, chain, say};

/// Images per thread between two writes: threads seldom wait for each other, and a kill costs little.
const SHARE: usize = 8;

/// How often the terminal is told how far it has come.
const REPORT: Duration = Duration::from_secs(30);

/// How the images of a run came out.
#[derive(Default)]
struct Counts {
    /// Rows that were there before.
    before: usize,
    ok: usize,
    flagged: usize,
    failed: usize,
}

pub(crate) fn run(
    detector: &Detector,
    model_sha256: String,
    manifest: &Path,
    args: &ArchiveArgs,
) -> Result<Outcome, Failure> {
    let job = Job { model_sha256, shard: args.shard };
    // The list is looked at before a file is made.
    let rows = Manifest::open(manifest)?;
    let output = args.output.as_deref().expect("clap asks for it");
    let mut output = Output::open(output, &job, args.resume)?;
    let (started, mut reported) = (Instant::now(), Instant::now());
    let mut counts = Counts::default();
    let mut share = Vec::new();
    for entry in rows {
        let entry = entry?;
        if !job.shard.has(entry.row) {
            continue;
        }
        if output.has(&entry)? {
            counts.before += 1;
            continue;
        }
        share.push(entry);
        if share.len() == SHARE * detector.threads() {
            inspect(detector, &mut share, &mut output, &mut counts)?;
        }
        if reported.elapsed() >= REPORT {
            reported = Instant::now();
            let done = counts.ok + counts.flagged + counts.failed;
            let rate = done as f64 / started.elapsed().as_secs_f64();
            say(format_args!("{} rows, {rate:.0} images/s", counts.before + done));
        }
    }
    inspect(detector, &mut share, &mut output, &mut counts)?;
    output.sync()?;
    let Counts { before, ok, flagged, failed } = counts;
    say(format_args!(
        "{} rows: {before} were there, {ok} OK, {flagged} not OK, {failed} could not be judged",
        before + ok + flagged + failed
    ));
    Ok(match (failed, flagged) {
        (0, 0) => Outcome::Fine,
        (0, _) => Outcome::DefectsFound,
        _ => Outcome::Incomplete,
    })
}

/// Inspects the images of `share`, writes their rows, and empties it.
fn inspect(
    detector: &Detector,
    share: &mut Vec<Entry>,
    output: &mut Output,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let judge = |Entry { row, file, path }| match detector.inspect_file(&path) {
        Ok(found) => Row::judged(row, file, &found),
        Err(error) => Row::failed(row, file, &chain(&error)),
    };
    let share = std::mem::take(share);
    let rows: Vec<Row> = detector.on_threads(|| share.into_par_iter().map(judge).collect());
    output.append(&rows)?;
    for row in &rows {
        match row.verdict {
            None => counts.failed += 1,
            Some(Verdict::Ok) => counts.ok += 1,
            Some(_) => counts.flagged += 1,
        }
    }
    Ok(())
}
