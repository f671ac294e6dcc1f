//! The `bgad` command line.
mod overlay;
fn main() {}
