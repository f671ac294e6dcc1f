//! What takes longer: every write of a command failed, one by one, and commands in any order, on the real binary.

#[path = "../cli/scene/base.rs"]
mod scene;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(unix)]
mod sequences;
