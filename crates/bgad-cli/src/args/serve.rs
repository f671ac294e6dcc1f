//! What `bgad serve` is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::parse::{bytes, positive, threads};

/// Answer over HTTP and gRPC: a model server for clients of the Open Inference Protocol, and for people.
///
/// A model is named by its file name without extension. In a repository DIR/NAME/VERSION/model.bgad the highest
/// version judges; a new version or a replaced file takes over once it is proved sound, and requests in work are
/// finished by the old one. SIGTERM finishes what is in work and exits with 0.
///
/// Other machines can reach the server only at an address that is given with --http or --grpc, and that needs
/// --token-file, --client-ca or --insecure.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad serve part.bgad                                  http://127.0.0.1:8000 has a page to try it
  bgad serve part.bgad other.bgad --feedback answers/
  bgad serve --repository models/ --http 0.0.0.0:8000 --token-file token --tls-cert c.pem --tls-key k.pem

docs/serve.md has clients in curl, Python and C#.")]
pub(crate) struct ServeArgs {
    /// Model files written by `bgad train`.
    #[arg(value_name = "MODEL", required_unless_present = "repository", conflicts_with = "repository")]
    pub(crate) models: Vec<PathBuf>,

    /// Serve every DIR/NAME/VERSION/model.bgad instead.
    #[arg(long, value_name = "DIR")]
    pub(crate) repository: Option<PathBuf>,

    /// Address for HTTP; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub(crate) http: SocketAddr,

    /// Address for gRPC.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8001")]
    pub(crate) grpc: SocketAddr,

    /// Threads that judge [default: one per core].
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,

    /// Images that wait for each model; beyond it requests are refused with 503.
    #[arg(long, value_name = "N", default_value = "64", value_parser = count)]
    pub(crate) queue: usize,

    /// Seconds from a request to its answer; what waits longer is refused with 503.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) deadline: Duration,

    /// Largest request, compressed or not [default: 64 MiB].
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(crate) body_limit: Option<u64>,

    /// Memory for all requests at a time; beyond it requests are refused with 503 [default: 512 MiB].
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(crate) memory: Option<u64>,

    /// Connections of HTTP and of gRPC at most; more wait.
    #[arg(long, value_name = "N", default_value = "16384", value_parser = count)]
    pub(crate) connections: usize,

    /// Seconds between two looks for new model files and certificates.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) poll: Duration,

    /// Keep operators' answers to POST /feedback in this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) feedback: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) safety: SafetyArgs,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Who may call.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Safety")]
pub(crate) struct SafetyArgs {
    /// Callers must send `Authorization: Bearer` with the text of this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Those who load and unload models must send the text of this file instead.
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,

    /// Certificate chain in PEM; read again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Let only clients in that have a certificate of these authorities.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) client_ca: Option<PathBuf>,

    /// Let everybody call who reaches the address.
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// What is said on stderr.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogArgs {
    /// Form of the log on stderr.
    #[arg(long, value_enum, default_value_t = LogForm::Text, value_name = "FORM")]
    pub(crate) log: LogForm,

    /// Log more.
    #[arg(long)]
    pub(crate) verbose: bool,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogForm {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Up to a year, in which no clock overflows.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = positive(text)?;
    if seconds <= 31_536_000.0 {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("expected at most 31536000 seconds".to_owned())
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=65536) => Ok(count),
        _ => Err("expected 1 to 65536".to_owned()),
    }
}
