//! MQTT: whether the line judges, retained, and each result.
//!
//! ```text
//! TOPIC/state    retained   {"state": "ready"} or {"state": "fault", "reason": ...}; the last will is a fault
//! TOPIC/result              the record of each part, as in the file of records
//! ```
//!
//! Results are not retained: an OK of an earlier part must not greet whoever connects later.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AsyncClient, Event, EventLoop, LastWill, MqttOptions, Packet, QoS, TlsConfiguration, Transport,
};
use serde_json::json;
use tokio::sync::watch;

use crate::serve::{ServeError, system};
use crate::server::Server;
use crate::tls::{ClientTlsFiles, client_config};

/// Results that wait for a broker.
const WAITING: usize = 10_000;
/// Bytes of a message at most.
const LARGEST: usize = 4 << 20;
/// Between two attempts to reach the broker.
const AGAIN: Duration = Duration::from_secs(1);
const ALIVE: Duration = Duration::from_secs(5);

/// Where the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttBroker {
    /// Name or address.
    pub host: String,
    /// Port, usually 1883.
    pub port: u16,
    /// First part of the topics, for instance `plant/line1`.
    pub topic: String,
    /// User and the file of the password.
    pub login: Option<(String, PathBuf)>,
    /// What encrypts the connection; `None` for plain TCP.
    pub tls: Option<ClientTlsFiles>,
}

/// A connection that comes back by itself.
pub(crate) struct Mqtt {
    client: AsyncClient,
    topic: String,
    state: watch::Sender<String>,
    server: Arc<Server>,
}

fn state(fault: Option<&str>) -> String {
    match fault {
        None => json!({ "state": "ready" }).to_string(),
        Some(reason) => json!({ "state": "fault", "reason": reason }).to_string(),
    }
}

impl Mqtt {
    /// Connects in the background; a broker that is away is tried again and again.
    ///
    /// # Errors
    ///
    /// A [`ServeError`] if the password or a certificate cannot be used.
    pub(crate) fn start(broker: &MqttBroker, server: Arc<Server>) -> Result<Mqtt, ServeError> {
        let id = format!("bgad-{}", uuid::Uuid::now_v7().simple());
        let mut options = MqttOptions::new(id, &broker.host, broker.port);
        let topic = format!("{}/state", broker.topic);
        let will = state(Some("the line is gone"));
        options
            .set_last_will(LastWill::new(&topic, will, QoS::AtLeastOnce, true))
            .set_keep_alive(ALIVE)
            .set_max_packet_size(LARGEST, LARGEST)
            .set_clean_session(true);
        if let Some((user, file)) = &broker.login {
            let password =
                std::fs::read_to_string(file).map_err(system("cannot read the password for MQTT"))?;
            options.set_credentials(user, password.trim_end());
        }
        if let Some(files) = &broker.tls {
            let config = TlsConfiguration::Rustls(Arc::new(client_config(files)?));
            options.set_transport(Transport::tls_with_config(config));
        }
        let (client, events) = AsyncClient::new(options, WAITING);
        let (send, receive) = watch::channel(state(Some("starting")));
        tokio::spawn(follow(events, Arc::clone(&server)));
        tokio::spawn(tell(client.clone(), topic, receive));
        Ok(Mqtt { client, topic: broker.topic.clone(), state: send, server })
    }

    /// Says whether the line judges.
    pub(crate) fn set_state(&self, fault: Option<&str>) {
        let new = state(fault);
        self.state.send_if_modified(|old| {
            *old != new && {
                *old = new;
                true
            }
        });
    }

    /// Sends a record; with the broker away it waits, up to a number.
    pub(crate) fn result(&self, record: Vec<u8>) {
        let topic = format!("{}/result", self.topic);
        if self.client.try_publish(topic, QoS::AtLeastOnce, false, record).is_err() {
            self.server.metrics.fault("mqtt_full");
            tracing::error!("a record was not sent by MQTT: too many wait for the broker");
        }
    }

    /// Says good-bye: the line judges no longer.
    pub(crate) async fn stop(&self) {
        self.set_state(Some("stopped"));
        // The state goes before the good-bye, which would keep the last will from being sent.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let _ = self.client.try_disconnect();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Publishes the state whenever it changes, and every few seconds, so that a broker that was away has it too.
async fn tell(client: AsyncClient, topic: String, mut state: watch::Receiver<String>) {
    loop {
        let now = state.borrow_and_update().clone();
        if client.publish(&topic, QoS::AtLeastOnce, true, now).await.is_err() {
            return;
        }
        if let Ok(Err(_)) = tokio::time::timeout(ALIVE, state.changed()).await {
            return;
        }
    }
}

/// Keeps the connection going.
async fn follow(mut events: EventLoop, server: Arc<Server>) {
    let mut connected = true;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                connected = true;
                tracing::info!("the MQTT broker is there");
            }
            Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => return,
            Ok(_) => {}
            Err(rumqttc::ConnectionError::RequestsDone) => return,
            Err(error) => {
                if std::mem::take(&mut connected) {
                    server.metrics.fault("mqtt");
                    tracing::error!(%error, "the MQTT broker is gone; it is tried again");
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
