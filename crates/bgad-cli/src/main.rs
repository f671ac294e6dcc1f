//! The `bgad` command line: a thin shell around the library. Parse, plan, run, exit code.

mod args;
mod choice;
mod recipe;
mod train;
mod evaluate;
mod compare;
mod learn;
mod inspect;
mod calibrate;
mod doctor;
mod benchmark;
mod augment;
mod foreground;
mod sheet;
#[cfg(feature = "server")]
mod studio;
mod demo;
#[cfg(feature = "server")]
mod serve;
mod report;
mod overlay;
mod page;
mod progress;
mod machine;
mod shell;
mod failure;
mod exit;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};
use exit::Outcome;
use failure::Failure;

fn main() -> ExitCode {
    exit::code(run(Args::parse().command))
}

fn run(command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Train(args) => train::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Learn(args) => learn::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Benchmark(args) => benchmark::run(&args),
        Command::Augment(args) => augment::run(&args),
        Command::Foreground(args) => foreground::run(&args),
        #[cfg(feature = "server")]
        Command::Serve(args) => serve::run(&args),
        #[cfg(feature = "server")]
        Command::Studio(args) => studio::run(&args),
        Command::Demo(args) => {
            demo::run(&args, &mut io::stdout().lock())?;
            Ok(Outcome::Fine)
        }
    }
}
