//! Logs on stderr.

use tracing::level_filters::LevelFilter;

/// Form of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends the logs of this process to stderr; once, later calls change nothing.
pub fn start_log(format: LogFormat, verbose: bool) {
    let level = if verbose { LevelFilter::DEBUG } else { LevelFilter::INFO };
    let of_all =
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    // A second call finds a log and leaves it.
    let _ = match format {
        LogFormat::Text => of_all.with_ansi(false).try_init(),
        LogFormat::Json => {
            of_all.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
        }
    };
}
