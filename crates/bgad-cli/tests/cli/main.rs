//! The command line from outside: what is typed, printed, written and returned.

mod scene;
mod main_job;
mod report;
mod doctor;
mod interrupted;
mod bad_input;
mod anomalies;
mod benchmark;
mod calibrate;
mod geometry;
mod learn;
mod archive;
mod outputs;
mod proposals;
mod source;
