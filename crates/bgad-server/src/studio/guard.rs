//! Who may talk to the studio: this machine's browser on its own page; from elsewhere only with the token.
//!
//! A page of another site can make a browser send requests here. It cannot set the header that changes need, its
//! `Origin` is another, and a name that it lets point to this machine is not among the names that are answered.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, COOKIE, HOST, ORIGIN, REFERRER_POLICY, SET_COOKIE,
};
use axum::http::header::{LOCATION, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use super::reply::Refusal;

/// What every request that changes something carries.
pub(super) const HEADER: &str = "x-bgad-studio";
/// Nothing is loaded from elsewhere, and nothing that is not a file of the studio runs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
                      connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The rule for one server.
#[derive(Clone)]
pub(super) struct Guard {
    token: Option<Arc<str>>,
}

impl Guard {
    /// A token is needed unless the studio listens on this machine only.
    pub(super) fn new(token: Option<String>) -> Guard {
        Guard { token: token.map(Arc::from) }
    }

    fn refuse(&self, method: &Method, headers: &HeaderMap) -> Option<Refusal> {
        let text = |name: HeaderName| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let host = text(HOST).unwrap_or("");
        if self.token.is_none() && !is_loopback(host) {
            return Some(Refusal::new(
                StatusCode::FORBIDDEN,
                "the studio answers on 127.0.0.1 and localhost only: open it by that address",
            ));
        }
        if let Some(origin) = text(ORIGIN)
            && origin.split_once("://").map(|(_, host)| host) != Some(host)
        {
            return Some(Refusal::new(StatusCode::FORBIDDEN, "another site may not talk to the studio"));
        }
        if text(HeaderName::from_static("sec-fetch-site")) == Some("cross-site") && method != Method::GET {
            return Some(Refusal::new(StatusCode::FORBIDDEN, "another site may not talk to the studio"));
        }
        let reads = [Method::GET, Method::HEAD].contains(method);
        if !reads && !headers.contains_key(HEADER) {
            let message = format!("a request that changes something carries the header {HEADER}");
            return Some(Refusal::new(StatusCode::FORBIDDEN, message));
        }
        if let Some(token) = &self.token {
            let bearer = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
            let cookie = text(COOKIE)
                .and_then(|value| value.split(';').find_map(|pair| pair.trim().strip_prefix("bgad-studio=")));
            let known = [bearer, cookie].into_iter().flatten().any(|given| same(given, token));
            if !known {
                return Some(Refusal::new(
                    StatusCode::UNAUTHORIZED,
                    "open the studio by the address with the token that `bgad studio` printed",
                ));
            }
        }
        None
    }
}

/// Checks a request, answers it, and says to the browser what the page may do.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match (enter(&guard, &request), guard.refuse(request.method(), request.headers())) {
        (Some(entered), _) => entered,
        (None, Some(refusal)) => refusal.into_response(),
        (None, None) => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// `/?token=...` with the right token: the browser keeps it as a cookie that no script can read.
fn enter(guard: &Guard, request: &Request) -> Option<Response> {
    let token = guard.token.as_ref()?;
    let given = request.uri().query()?.strip_prefix("token=")?;
    if request.uri().path() != "/" || !same(given, token) {
        return None;
    }
    let cookie = format!("bgad-studio={token}; HttpOnly; SameSite=Strict; Path=/");
    let cookie = HeaderValue::from_str(&cookie).ok()?;
    Some(
        (StatusCode::SEE_OTHER, [(LOCATION, HeaderValue::from_static("/")), (SET_COOKIE, cookie)])
            .into_response(),
    )
}

fn same(given: &str, token: &str) -> bool {
    given.as_bytes().ct_eq(token.as_bytes()).into()
}

fn is_loopback(host: &str) -> bool {
    let name = match host.parse::<SocketAddr>() {
        Ok(address) => return address.ip().is_loopback(),
        Err(_) => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(token: Option<&str>, method: Method, headers: &[(&'static str, &str)]) -> Option<StatusCode> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).expect("a value"));
        }
        Guard::new(token.map(str::to_owned)).refuse(&method, &map).map(|refusal| refusal.status)
    }

    #[test]
    fn only_the_own_page_changes_anything() {
        let own = [("host", "127.0.0.1:8010"), ("x-bgad-studio", "1"), ("origin", "http://127.0.0.1:8010")];
        assert_eq!(asked(None, Method::POST, &own), None);
        assert_eq!(asked(None, Method::POST, &own[..1]), Some(StatusCode::FORBIDDEN));
        let other = [own[0], own[1], ("origin", "http://evil.example")];
        assert_eq!(asked(None, Method::POST, &other), Some(StatusCode::FORBIDDEN));
        let null = [own[0], own[1], ("origin", "null")];
        assert_eq!(asked(None, Method::POST, &null), Some(StatusCode::FORBIDDEN));
    }

    #[test]
    fn a_foreign_name_for_this_machine_is_not_answered() {
        for (host, refused) in [
            ("127.0.0.1:8010", false),
            ("localhost:8010", false),
            ("[::1]:8010", false),
            ("evil.example:8010", true),
            ("localhost.evil.example", true),
            ("192.168.0.7:8010", true),
        ] {
            assert_eq!(asked(None, Method::GET, &[("host", host)]).is_some(), refused, "{host}");
        }
    }

    #[test]
    fn from_elsewhere_it_takes_the_token() {
        let host = ("host", "192.168.0.7:8010");
        let status = |headers: &[(&'static str, &str)]| asked(Some("secret"), Method::GET, headers);
        assert_eq!(status(&[host]), Some(StatusCode::UNAUTHORIZED));
        assert_eq!(status(&[host, ("authorization", "Bearer wrong")]), Some(StatusCode::UNAUTHORIZED));
        assert_eq!(status(&[host, ("authorization", "Bearer secret")]), None);
        assert_eq!(status(&[host, ("cookie", "a=b; bgad-studio=secret")]), None);
    }
}
