//! Who may call.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use subtle::ConstantTimeEq as _;

use crate::refusal::Refusal;

/// Bytes that a token has at least.
const SHORTEST: usize = 16;

/// A secret that callers send as `Authorization: Bearer TOKEN`.
#[derive(Clone)]
pub struct Token(Vec<u8>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Why the server would not be safe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// A token file cannot be read.
    #[error("the token file {path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A token that can be guessed.
    #[error(
        "the token file {path} holds {found} bytes, expected at least {SHORTEST}: for instance the output of `openssl rand -hex 32`"
    )]
    Short {
        /// The file.
        path: PathBuf,
        /// Its bytes without blanks at the ends.
        found: usize,
    },
    /// Modbus has no passwords.
    #[error("{address} can be reached from other machines and Modbus has no passwords: say --insecure")]
    Modbus {
        /// The address.
        address: SocketAddr,
    },
    /// An address that others can reach, and nothing that keeps them out.
    #[error(
        "{address} can be reached from other machines: give --token-file or --client-ca, or say --insecure"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
}

impl Token {
    /// Reads a token from a file; blanks and line ends around it do not count.
    ///
    /// # Errors
    ///
    /// An [`AccessError`] if the file cannot be read or the token is short.
    pub fn read(path: &Path) -> Result<Token, AccessError> {
        let text = fs::read(path).map_err(|source| AccessError::Read { path: path.to_owned(), source })?;
        let token = text.trim_ascii().to_vec();
        match token.len() {
            found if found < SHORTEST => Err(AccessError::Short { path: path.to_owned(), found }),
            _ => Ok(Token(token)),
        }
    }

    /// Compares in a time that does not tell how much is right.
    fn is(&self, found: &[u8]) -> bool {
        self.0.ct_eq(found).into()
    }
}

/// The tokens of a server.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Callers must know it; `None` for all who reach the server.
    pub token: Option<Token>,
    /// Those who load and unload models must know it.
    pub admin: Option<Token>,
    /// Whether load and unload are open without an admin token: only where nobody else can call.
    pub local: bool,
}

impl Access {
    /// Checks that an address is not open to others by mistake.
    ///
    /// # Errors
    ///
    /// [`AccessError::Open`].
    pub fn check(
        &self,
        address: SocketAddr,
        client_certificates: bool,
        insecure: bool,
    ) -> Result<(), AccessError> {
        let guarded = self.token.is_some() || client_certificates || insecure;
        if address.ip().is_loopback() || guarded { Ok(()) } else { Err(AccessError::Open { address }) }
    }

    /// Lets a caller in who may ask for inferences; the administrator may as well.
    pub(crate) fn caller(&self, authorization: Option<&[u8]>) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        let found = bearer(authorization);
        let known = |token: &Token| found.is_some_and(|found| token.is(found));
        if known(token) || self.admin.as_ref().is_some_and(known) {
            return Ok(());
        }
        Err(Refusal::Unauthenticated(
            "expected `Authorization: Bearer TOKEN` with this server's token".into(),
        ))
    }

    /// Lets a caller in who may change what is served.
    pub(crate) fn admin(&self, authorization: Option<&[u8]>) -> Result<(), Refusal> {
        match &self.admin {
            Some(admin) if bearer(authorization).is_some_and(|found| admin.is(found)) => Ok(()),
            Some(_) => Err(Refusal::Forbidden("loading and unloading models needs the admin token".into())),
            None if self.local => Ok(()),
            None => Err(Refusal::Forbidden(
                "loading and unloading models is off: start the server with --admin-token-file".into(),
            )),
        }
    }
}

fn bearer(authorization: Option<&[u8]>) -> Option<&[u8]> {
    let value = authorization?;
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &[u8] = b"0123456789abcdef";

    #[test]
    fn only_the_right_token_opens() {
        let access = Access { token: Some(Token(TOKEN.into())), admin: None, local: false };
        assert!(access.caller(Some(b"Bearer 0123456789abcdef")).is_ok());
        assert!(access.caller(Some(b"bearer  0123456789abcdef ")).is_ok());
        let wrong: [Option<&[u8]>; 5] = [
            None,
            Some(b""),
            Some(b"Bearer "),
            Some(b"Bearer 0123456789abcdeF"),
            Some(b"Basic 0123456789abcdef"),
        ];
        for wrong in wrong {
            assert!(matches!(access.caller(wrong), Err(Refusal::Unauthenticated(_))), "{wrong:?}");
        }
        assert!(matches!(access.admin(Some(b"Bearer 0123456789abcdef")), Err(Refusal::Forbidden(_))));
    }

    #[test]
    fn addresses_of_others_need_a_guard() {
        let open = Access::default();
        let (here, there) = ("127.0.0.1:1".parse().unwrap(), "0.0.0.0:1".parse().unwrap());
        assert!(open.check(here, false, false).is_ok());
        assert!(open.check(there, false, false).is_err());
        assert!(open.check(there, true, false).is_ok() && open.check(there, false, true).is_ok());
        let guarded = Access { token: Some(Token(TOKEN.into())), ..open };
        assert!(guarded.check(there, false, false).is_ok());
    }
}
