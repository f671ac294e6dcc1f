//! bgad on the line and on the platform.
//!
//! | module | one sentence |
//! |---|---|
//! | `serve` | start, run, drain and stop |
//! | `listen`, `tls`, `access` | connections, certificates, tokens |
//! | `http`, `rpc` | the two doors; both speak the Open Inference Protocol, version 2 |
//! | `tensor`, `picture`, `record` | pictures out of requests, results into answers |
//! | `server`, `workers`, `library`, `version` | what every door leads to: limits, threads, models and their versions |
//! | `metrics`, `drift`, `log` | what the server says about itself |
//! | `studio` | label, train, judge and learn in a browser, on a folder of plain files |
//! | `line` | a watched folder and the outputs to a line: records, kept images, MQTT, Modbus, webhook |
//!
//! Everything that decides lives in `bgad`; this crate carries pictures in and answers out.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod access;
mod drift;
mod feedback;
mod http;
mod library;
mod line;
mod listen;
mod log;
mod metrics;
mod picture;
mod record;
mod refusal;
mod rpc;
mod serve;
mod server;
pub mod studio;
mod tensor;
mod tls;
mod version;
mod workers;

pub use access::{Access, AccessError, Token};
pub use http::{app, guard};
pub use library::{Library, LibraryError, Source};
pub use line::{KeepRule, LineAddresses, MqttBroker, Pace, WatchOptions, watch};
pub use log::{LogFormat, start_log};
pub use record::{Fault, PartInfo, Record, Times};
pub use serve::{Addresses, ServeError, ServeOptions, serve};
pub use server::{Limits, Server};
pub use tls::{ClientTlsFiles, TlsError, TlsFiles};
pub use version::{Version, VersionError};

/// Messages of the Open Inference Protocol over gRPC, made from `proto/inference.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod inference {
    tonic::include_proto!("inference");
}
