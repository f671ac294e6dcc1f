//! The command line from outside: what is typed, printed, written and returned.

mod scene;
mod settings;
mod main_job;
mod pictures;
mod report;
mod doctor;
mod export;
mod inspect;
mod interrupted;
mod bad_input;
mod anomalies;
mod benchmark;
mod calibrate;
mod geometry;
mod learn;
mod network;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "server")]
mod watch;
mod archive;
mod outputs;
mod failures;
#[cfg(unix)]
mod first_hour;
mod proposals;
mod source;
mod words;
