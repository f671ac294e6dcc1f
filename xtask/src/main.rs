//! Project automation: `cargo xtask check`.
fn main() {}
