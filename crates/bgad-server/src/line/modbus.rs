//! Modbus TCP: the [`Panel`] as coils and registers.

use std::future::{Ready, ready};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_modbus::prelude::*;
use tokio_modbus::server::tcp::{Server, accept_tcp_connection};

use super::panel::Panel;

/// A panel that the line and its PLCs share.
#[derive(Clone, Debug)]
pub(crate) struct SharedPanel {
    panel: Arc<Mutex<Panel>>,
    /// When a trigger was taken.
    triggers: mpsc::Sender<Instant>,
}

impl SharedPanel {
    pub(crate) fn new(triggered: bool) -> (SharedPanel, mpsc::Receiver<Instant>) {
        // A trigger is taken only if none is in work, so one place is enough.
        let (triggers, taken) = mpsc::channel(1);
        (SharedPanel { panel: Arc::new(Mutex::new(Panel::new(triggered))), triggers }, taken)
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Panel) -> T) -> T {
        work(&mut self.panel.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn answer(&self, request: Request<'_>) -> Result<Response, ExceptionCode> {
        self.with(|panel| match request {
            Request::ReadCoils(at, count) => part(&panel.coils(), at, count).map(Response::ReadCoils),
            Request::ReadDiscreteInputs(at, count) => {
                part(&panel.bits(), at, count).map(Response::ReadDiscreteInputs)
            }
            Request::ReadInputRegisters(at, count) => {
                part(&panel.inputs(), at, count).map(Response::ReadInputRegisters)
            }
            Request::ReadHoldingRegisters(at, count) => {
                part(panel.holding(), at, count).map(Response::ReadHoldingRegisters)
            }
            Request::WriteSingleCoil(at, on) => {
                self.write_coils(panel, at, &[on])?;
                Ok(Response::WriteSingleCoil(at, on))
            }
            Request::WriteMultipleCoils(at, values) => {
                self.write_coils(panel, at, &values)?;
                Ok(Response::WriteMultipleCoils(at, values.len() as u16))
            }
            Request::WriteSingleRegister(at, value) => {
                write_registers(panel, at, &[value])?;
                Ok(Response::WriteSingleRegister(at, value))
            }
            Request::WriteMultipleRegisters(at, values) => {
                write_registers(panel, at, &values)?;
                Ok(Response::WriteMultipleRegisters(at, values.len() as u16))
            }
            _ => Err(ExceptionCode::IllegalFunction),
        })
    }

    fn write_coils(&self, panel: &mut Panel, at: u16, values: &[bool]) -> Result<(), ExceptionCode> {
        part(&panel.coils(), at, values.len() as u16)?;
        for (coil, &on) in (at..).zip(values) {
            if panel.write_coil(coil, on) && self.triggers.try_send(Instant::now()).is_err() {
                // Nobody takes triggers: the line has ended or hangs.
                panel.fail();
            }
        }
        Ok(())
    }
}

fn write_registers(panel: &mut Panel, at: u16, values: &[u16]) -> Result<(), ExceptionCode> {
    match panel.write_part_id(usize::from(at), values) {
        true => Ok(()),
        false => Err(ExceptionCode::IllegalDataAddress),
    }
}

fn part<T: Copy>(all: &[T], at: u16, count: u16) -> Result<Vec<T>, ExceptionCode> {
    let (at, count) = (usize::from(at), usize::from(count));
    all.get(at..at + count).map(<[T]>::to_vec).ok_or(ExceptionCode::IllegalDataAddress)
}

impl tokio_modbus::server::Service for SharedPanel {
    type Request = Request<'static>;
    type Response = Response;
    type Exception = ExceptionCode;
    type Future = Ready<Result<Response, ExceptionCode>>;

    fn call(&self, request: Self::Request) -> Self::Future {
        ready(self.answer(request))
    }
}

/// The door, which outlives its failures.
pub(crate) fn door(listener: TcpListener) -> Server {
    Server::new(listener)
}

/// Answers PLCs until a connection cannot be accepted.
pub(crate) async fn serve(door: &Server, panel: SharedPanel) -> io::Result<()> {
    let service = |_| Ok(Some(panel.clone()));
    let connected = |stream, address| {
        let service = &service;
        async move { accept_tcp_connection(stream, address, service) }
    };
    door.serve(&connected, |error| tracing::debug!(%error, "a PLC went away")).await
}
