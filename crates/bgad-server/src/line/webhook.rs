//! Each record to a web address, in order, however long that takes.
//!
//! The file of records is the queue; a second file says how far it was delivered. A receiver that answers but whose answer
//! is lost gets a record twice, with the same `Idempotency-Key`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bgad::durable;
use serde_json::Value;

use super::journal::line_at;
use crate::server::Server;

const CURSOR: &str = "webhook.cursor";
/// Records that the receiver will never take.
const REFUSED: &str = "webhook.refused.jsonl";
/// How long the receiver may think.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks for a new record.
const LOOK: Duration = Duration::from_millis(50);
/// After the first failure; doubled up to the longest.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);

/// A thread that delivers.
#[derive(Debug)]
pub(crate) struct Webhook {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Webhook {
    pub(crate) fn start(folder: PathBuf, url: String, server: Arc<Server>) -> io::Result<Webhook> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut sender =
            Sender { cursor: read_cursor(&folder)?, folder, url, stop: Arc::clone(&stop), server };
        let thread = thread::Builder::new().name("bgad-webhook".to_owned()).spawn(move || sender.run())?;
        Ok(Webhook { stop, thread: Some(thread) })
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread ends within one delivery; a panic in it was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn read_cursor(folder: &Path) -> io::Result<u64> {
    match fs::read_to_string(folder.join(CURSOR)) {
        Ok(text) => text.trim().parse().map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

struct Sender {
    folder: PathBuf,
    url: String,
    /// Bytes of the file of records that were delivered.
    cursor: u64,
    stop: Arc<AtomicBool>,
    server: Arc<Server>,
}

impl Sender {
    fn run(&mut self) {
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false);
        let agent = ureq::Agent::new_with_config(config.build());
        let mut pause = FIRST;
        while !self.stop.load(Ordering::Relaxed) {
            match self.deliver(&agent) {
                Ok(true) => pause = FIRST,
                Ok(false) => thread::sleep(LOOK),
                Err(error) => {
                    self.server.metrics.fault("webhook");
                    tracing::error!(error, "the webhook was not delivered; it is tried again");
                    self.wait(pause);
                    pause = (2 * pause).min(LONGEST);
                }
            }
        }
    }

    fn wait(&self, mut time: Duration) {
        while !time.is_zero() && !self.stop.load(Ordering::Relaxed) {
            let step = time.min(LOOK);
            thread::sleep(step);
            time -= step;
        }
    }

    /// Delivers the next record; false if there is none.
    fn deliver(&mut self, agent: &ureq::Agent) -> Result<bool, String> {
        let line = line_at(&self.folder, self.cursor).map_err(|error| error.to_string())?;
        let Some(line) = line else { return Ok(false) };
        let record = serde_json::from_slice::<Value>(&line).unwrap_or_default();
        let id = record.get("id").and_then(Value::as_str).unwrap_or_default();
        let answer = agent
            .post(&self.url)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", id)
            .send(&line[..])
            .map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        match status {
            200..300 => {}
            // These pass; everything else in the 400s will be said again to the same record.
            400..500 if ![401, 403, 404, 408, 425, 429].contains(&status) => {
                tracing::error!(status, id, "the receiver refuses a record for good");
                self.refused(&line).map_err(|error| error.to_string())?;
            }
            _ => return Err(format!("the receiver answered {status}")),
        }
        self.cursor += line.len() as u64 + 1;
        durable::replace(&self.folder.join(CURSOR), self.cursor.to_string().as_bytes())
            .map_err(|error| format!("{CURSOR} cannot be written: {error}"))?;
        Ok(true)
    }

    fn refused(&self, line: &[u8]) -> io::Result<()> {
        use std::io::Write as _;
        let path = self.folder.join(REFUSED);
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(&[line, b"\n"].concat())?;
        file.sync_data()
    }
}
