//! In which form a client wants the answer of `POST /inspect`.

use axum::http::{HeaderMap, header};

use crate::refusal::Refusal;

/// A form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The result record, `application/json`.
    Record,
    /// The picture of the result, `image/png`.
    Overlay,
}

impl Form {
    /// The form that a client prefers; the record if it does not care.
    pub(super) fn wanted(headers: &HeaderMap) -> Result<Form, Refusal> {
        let given: Vec<&str> =
            headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        if given.is_empty() {
            return Ok(Form::Record);
        }
        let accept = given.join(",");
        let (record, overlay) = (Weight::of(&accept, "application/json"), Weight::of(&accept, "image/png"));
        match (record, overlay) {
            _ if record.max(overlay).quality == 0 => Err(Refusal::NotAcceptable(format!(
                "the answer is application/json or image/png, asked for `{accept}`"
            ))),
            _ if overlay > record => Ok(Form::Overlay),
            _ => Ok(Form::Record),
        }
    }
}

/// How much a client wants a media type; of two that it wants alike, the one that it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    /// Thousandths.
    quality: u16,
    /// 3 by its name, 2 by its kind, 1 with all others, 0 not at all.
    named: u8,
}

impl Weight {
    /// Of a media type by the most specific range of an `Accept` header.
    fn of(accept: &str, kind: &str) -> Weight {
        let ranges = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let named = match name.as_str() {
                "" | "*/*" => 1,
                _ if name == kind => 3,
                _ if name
                    .strip_suffix('*')
                    .is_some_and(|all| all.ends_with('/') && kind.starts_with(all)) =>
                {
                    2
                }
                _ => return None,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
            Some(Weight { quality: (1000.0 * quality.unwrap_or(1.0).clamp(0.0, 1.0)) as u16, named })
        });
        ranges.max_by_key(|weight| weight.named).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn what_is_wanted_most_is_given() {
        let wanted = |accept: &'static str| {
            Form::wanted(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]))
        };
        assert_eq!(Form::wanted(&HeaderMap::new()), Ok(Form::Record));
        for accept in [
            "",
            "*/*",
            "application/*",
            "application/json",
            "Application/JSON; charset=utf-8",
            // A browser.
            "text/html,application/xhtml+xml,image/avif,image/webp,*/*;q=0.8",
            "application/json, image/png",
            "image/png;q=0.5, application/json",
            "image/png;q=0, */*",
        ] {
            assert_eq!(wanted(accept), Ok(Form::Record), "{accept}");
        }
        for accept in [
            "image/png",
            "image/*",
            "IMAGE/PNG",
            "image/png, application/json;q=0.9",
            "image/png, */*",
            "application/json;q=0, */*",
        ] {
            assert_eq!(wanted(accept), Ok(Form::Overlay), "{accept}");
        }
        for accept in ["image/webp", "text/html", "application/json;q=0", "image"] {
            assert!(wanted(accept).is_err(), "{accept}");
        }
    }
}
