//! What takes longer: every write of a command failed, one by one, on the real binary.

#[path = "../cli/scene.rs"]
#[allow(dead_code)]
mod scene;
#[cfg(target_os = "linux")]
mod faults;
