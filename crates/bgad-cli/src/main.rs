//! The `bgad` command line.

mod demo;
mod overlay;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
enum Args {
    Demo(demo::DemoArgs),
}

fn main() -> ExitCode {
    let Args::Demo(args) = Args::parse();
    match demo::run(&args, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
