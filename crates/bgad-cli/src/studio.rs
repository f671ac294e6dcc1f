//! `bgad studio`: the whole job in a browser.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bgad_server::studio::{Project, serve, token};

use crate::args::StudioArgs;
use crate::exit::Outcome;
use crate::failure::{Failure, context, say};
use crate::{demo, machine};

pub(crate) fn run(args: &StudioArgs) -> Result<Outcome, Failure> {
    machine::use_threads(args.threads)?;
    let token = (!args.http.ip().is_loopback()).then(token);
    let project = Project {
        folder: args.folder.clone(),
        token: token.clone(),
        demo: Some(Arc::new(|folder| demo::draw_project(folder))),
    };
    let ready = |address: SocketAddr| {
        let address = address_of(address, token.as_deref());
        // A pipe that nobody reads any more does not end the studio.
        let mut out = io::stdout();
        let _ = writeln!(out, "bgad studio is at {address}  (Ctrl-C ends it)").and_then(|()| out.flush());
        if !args.no_open {
            open(&address);
        }
    };
    serve(project, args.http, ready).map_err(|error| {
        context(format!("cannot run the studio of {} at {}", args.folder.display(), args.http), error)
    })?;
    Ok(Outcome::Fine)
}

fn address_of(address: SocketAddr, token: Option<&str>) -> String {
    match token {
        None => format!("http://{address}/"),
        Some(token) => format!("http://{address}/?token={token}"),
    }
}

/// Asks the system to show a page; that there is no browser is no failure.
fn open(address: &str) {
    let mut command = match std::env::consts::OS {
        "macos" => Command::new("open"),
        "windows" => {
            let mut command = Command::new("cmd");
            command.args(["/C", "start", ""]);
            command
        }
        _ => Command::new("xdg-open"),
    };
    let started =
        command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if started.is_err() {
        say("no browser could be opened: open the address above");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_part_of_the_address() {
        let address = "127.0.0.1:8010".parse().expect("an address");
        assert_eq!(address_of(address, None), "http://127.0.0.1:8010/");
        assert_eq!(address_of(address, Some("abc")), "http://127.0.0.1:8010/?token=abc");
    }
}
