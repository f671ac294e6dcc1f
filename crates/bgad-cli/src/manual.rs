//! `bgad completions` and `bgad man`: made from the same definitions as the help.

use std::io::{self, Write as _};

use clap_mangen::Man;

use crate::args::{self, CompletionsArgs, ManArgs};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::{out, product};

pub(crate) fn completions(args: &CompletionsArgs) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(true), "bgad", &mut script);
    out::text().write_all(&script)?;
    Ok(Outcome::Fine)
}

pub(crate) fn man(args: &ManArgs) -> Result<Outcome, Failure> {
    let pages = pages()?;
    let Some(folder) = &args.out else {
        out::text().write_all(&pages[0].1)?;
        return Ok(Outcome::Fine);
    };
    product::folder(folder)?;
    for (name, page) in &pages {
        product::write(&folder.join(name), page)?;
    }
    Ok(Outcome::Fine)
}

/// The page of the program, and then one for each command: file name and text.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut program = args::command(true);
    program.build();
    let mut pages = vec![rendered("bgad".to_owned(), program.clone())?];
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        // What a reader types is `bgad train`; a page's name has no spaces.
        pages.push(rendered(format!("bgad-{}", command.get_name()), command.clone())?);
    }
    Ok(pages)
}

fn rendered(name: String, command: clap::Command) -> io::Result<(String, Vec<u8>)> {
    let mut page = Vec::new();
    Man::new(command.display_name(name.clone())).title(name.clone()).render(&mut page)?;
    Ok((format!("{name}.1"), page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_all_its_options() {
        let pages = pages().expect("pages");
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert!(
            names[0] == "bgad.1" && names.contains(&"bgad-train.1") && names.contains(&"bgad-inspect.1"),
            "{names:?}"
        );
        let train = pages.iter().find(|(name, _)| name == "bgad-train.1").expect("a page");
        let text = String::from_utf8_lossy(&train.1);
        assert!(text.contains(r"\-\-hold\-out") && text.contains(r"\-\-learning\-rate"), "{text}");
    }
}
