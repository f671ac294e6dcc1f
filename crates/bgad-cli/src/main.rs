//! The `bgad` command line: a thin shell around the library. Parse, plan, run, exit code.

mod args;
mod choice;
mod recipe;
mod train;
mod evaluate;
mod compare;
mod learn;
mod restore;
mod model_file;
mod inspect;
mod info;
mod archive;
mod calibrate;
mod export;
mod doctor;
mod benchmark;
mod augment;
mod foreground;
mod sheet;
#[cfg(feature = "server")]
mod studio;
mod demo;
mod manual;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "server")]
mod watch;
mod report;
mod page;
mod chart;
mod score_axis;
mod progress;
mod machine;
mod shell;
mod failure;
mod out;
mod product;
mod exit;

use std::process::ExitCode;

use args::{Args, Command, Rejected};
use exit::Outcome;
use failure::Failure;

fn main() -> ExitCode {
    match Args::typed() {
        Ok(args) => {
            progress::set_verbose(args.verbose);
            exit::code(run(args.command))
        }
        Err(Rejected::Typed(said)) => exit::code(not_parsed(&said)),
        Err(Rejected::Settings(wrong)) => exit::code(Err(wrong)),
    }
}

/// What the parser has to say: help and version on stdout, errors on stderr.
fn not_parsed(said: &clap::Error) -> Result<Outcome, Failure> {
    if said.use_stderr() {
        // A stderr that is closed leaves nobody to tell.
        let _ = said.print();
        return Ok(Outcome::Incomplete);
    }
    out::help(said);
    Ok(Outcome::Fine)
}

fn run(command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Train(args) => train::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Learn(args) => learn::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Export(args) => export::run(&args),
        Command::VerifyExport(args) => export::verify_export(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Benchmark(args) => benchmark::run(&args),
        Command::Augment(args) => augment::run(&args),
        Command::Foreground(args) => foreground::run(&args),
        #[cfg(feature = "server")]
        Command::Serve(args) => serve::run(&args),
        #[cfg(feature = "server")]
        Command::Watch(args) => watch::run(&args),
        #[cfg(feature = "server")]
        Command::Studio(args) => studio::run(&args),
        Command::Demo(args) => {
            demo::run(&args, &mut out::text())?;
            Ok(Outcome::Fine)
        }
    }
}
