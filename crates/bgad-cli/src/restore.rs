//! `bgad restore`: the previous generation of a model is back.

use bgad::durable;
use bgad::model::Model;

use crate::args::RestoreArgs;
use crate::exit::Outcome;
use crate::failure::{Failure, chain, context, say};

pub(crate) fn run(args: &RestoreArgs) -> Result<Outcome, Failure> {
    let model = args.model.display();
    durable::restore(&args.model).map_err(|error| context(format!("cannot restore {model}"), error))?;
    say(format_args!(
        "{model} is its previous generation again; the newer one is {}",
        durable::previous(&args.model).display()
    ));
    // What `train --force` replaced need be no model; whoever brings it back should know.
    if let Err(error) = Model::open(&args.model) {
        say(format_args!("{}; bgad restore brings the newer one back", chain(&error)));
        return Ok(Outcome::Incomplete);
    }
    Ok(Outcome::Fine)
}
