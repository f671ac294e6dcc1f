//! What `bgad watch` is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::parse::bytes;
use super::serve::{LogArgs, SafetyArgs, seconds};

/// Judge every picture that comes into a folder, and tell the line.
///
/// A picture is judged once it is whole: renamed into the folder, or unchanged for a while. Each is judged once, also
/// across restarts. Its record is on the disk before anybody is told; whatever fails, the outputs say fault, never OK.
/// SIGTERM finishes the part in work and exits with 0.
///
/// OUT/records.jsonl has the records, OUT/images the pictures kept, OUT/feedback.jsonl the operators' answers.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad watch frames/ --model part.bgad --out line1
  bgad watch frames/ --model part.bgad --out line1 --mqtt broker:1883 --topic plant/line1
  bgad watch frames/ --model part.bgad --out line1 --modbus 10.0.0.5:502 --insecure --triggered

docs/serve.md has the registers for a PLC.")]
pub(crate) struct WatchArgs {
    /// Folder that pictures come into.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Model file written by `bgad train`; a replaced file takes over once it is proved sound.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,

    /// Folder for records and kept pictures.
    #[arg(long, value_name = "OUT")]
    pub(crate) out: PathBuf,

    /// Name of this station in the records.
    #[arg(long, value_name = "NAME")]
    pub(crate) station: Option<String>,

    /// Seconds without a change after which a picture is whole.
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
    pub(crate) settle: Duration,

    /// Seconds between two listings of a folder from which no events come, for instance a share.
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
    pub(crate) relist: Duration,

    /// Threads that judge [default: one per core].
    #[arg(long, value_name = "N", value_parser = super::parse::threads)]
    pub(crate) threads: Option<usize>,

    /// Keep one in so many OK pictures, 0 for none; those that are not OK are all kept.
    #[arg(long, value_name = "N", default_value = "100")]
    pub(crate) keep_ok: u64,

    /// Size of all kept pictures; the oldest go first [default: 10GB].
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(crate) quota: Option<u64>,

    /// Judge only the next picture after a trigger by Modbus or POST /trigger.
    #[arg(long)]
    pub(crate) triggered: bool,

    /// Seconds that a picture may take after its trigger; then the part is a fault.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds, requires = "triggered")]
    pub(crate) trigger_timeout: Duration,

    /// Take a picture too that came so many seconds before its trigger [default: 0].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "triggered")]
    pub(crate) frame_age: Option<Duration>,

    /// Address for HTTP; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub(crate) http: SocketAddr,

    /// Address for Modbus TCP.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) modbus: Option<SocketAddr>,

    /// MQTT broker.
    #[arg(long, value_name = "HOST:PORT", value_parser = broker)]
    pub(crate) mqtt: Option<(String, u16)>,

    /// First part of the MQTT topics: TOPIC/state and TOPIC/result.
    #[arg(long, value_name = "TOPIC", default_value = "bgad")]
    pub(crate) topic: String,

    /// User at the MQTT broker.
    #[arg(long, value_name = "NAME", requires_all = ["mqtt", "mqtt_password_file"])]
    pub(crate) mqtt_user: Option<String>,

    /// File of the password at the MQTT broker.
    #[arg(long, value_name = "FILE", requires = "mqtt_user")]
    pub(crate) mqtt_password_file: Option<PathBuf>,

    /// Authorities (PEM) of the MQTT broker's certificate; with them the connection is encrypted.
    #[arg(long, value_name = "FILE", requires = "mqtt")]
    pub(crate) mqtt_ca: Option<PathBuf>,

    /// Certificate (PEM) for an MQTT broker that asks for one.
    #[arg(long, value_name = "FILE", requires_all = ["mqtt_ca", "mqtt_key"])]
    pub(crate) mqtt_cert: Option<PathBuf>,

    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "mqtt_cert")]
    pub(crate) mqtt_key: Option<PathBuf>,

    /// Post each record to this address, again and again until it is taken.
    #[arg(long, value_name = "URL")]
    pub(crate) webhook: Option<String>,

    #[command(flatten)]
    pub(crate) safety: SafetyArgs,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

fn broker(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match parts {
        Some((host, port)) if !host.is_empty() => Ok((host.to_owned(), port)),
        _ => Err("expected HOST:PORT such as broker.local:1883".to_owned()),
    }
}
