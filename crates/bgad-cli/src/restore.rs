//! `bgad restore`: the previous generation of a model is back.

use bgad::durable;

use crate::args::RestoreArgs;
use crate::exit::Outcome;
use crate::failure::{Failure, context, say};

pub(crate) fn run(args: &RestoreArgs) -> Result<Outcome, Failure> {
    let model = args.model.display();
    durable::restore(&args.model).map_err(|error| context(format!("cannot restore {model}"), error))?;
    say(format_args!(
        "{model} is its previous generation again; the newer one is {}",
        durable::previous(&args.model).display()
    ));
    Ok(Outcome::Fine)
}
