//! Breaks files at random for a while and reads them (crates/bgad/tests/fuzz.rs).

use crate::task::{self, Failure, Step};

/// Minutes when none are asked for.
const MINUTES: &str = "10";

/// `[--minutes N]`.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let minutes = match arguments {
        [] => MINUTES,
        [option, minutes] if option == "--minutes" && minutes.parse::<f64>().is_ok_and(|m| m > 0.0) => {
            minutes
        }
        _ => return Err(Failure::usage("expected `cargo xtask fuzz [--minutes N]`".to_owned())),
    };
    let step = Step::cargo(&["test", "-p", "bgad", "--test", "fuzz", "--", "--nocapture"]);
    task::run_all(&[step.env("BGAD_FUZZ_MINUTES", minutes)])
}
