//! Inference over REST: JSON, and the binary tensor extension behind it.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::body::receive;
use crate::picture::Picture;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::tensor::{self, INPUT, Output, Tensor};
use crate::version::Version;

/// Length of the JSON text where binary data follows it, bytes.
const HEADER_LENGTH: &str = "inference-header-content-length";

/// A request for an inference, as its JSON text says.
#[derive(Deserialize)]
pub(crate) struct InferRequest {
    id: Option<String>,
    #[serde(default)]
    parameters: Map<String, Value>,
    inputs: Vec<Input>,
    #[serde(default)]
    outputs: Vec<Asked>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    shape: Vec<i64>,
    datatype: String,
    #[serde(default)]
    parameters: Map<String, Value>,
    data: Option<Value>,
}

#[derive(Deserialize)]
struct Asked {
    name: String,
    #[serde(default)]
    parameters: Map<String, Value>,
}

pub(super) async fn newest(
    State(server): State<Arc<Server>>,
    Path(model): Path<String>,
    request: Request,
) -> Response {
    answer(&server, &model, None, request).await
}

pub(super) async fn of_version(
    State(server): State<Arc<Server>>,
    Path((model, version)): Path<(String, String)>,
    request: Request,
) -> Response {
    answer(&server, &model, Some(&version), request).await
}

async fn answer(server: &Server, model: &str, version: Option<&str>, request: Request) -> Response {
    let started = Instant::now();
    let version = server.library.get(model, version);
    let result = match &version {
        Ok(version) => infer(server, version, request).await,
        Err(refusal) => Err(refusal.clone()),
    };
    let response = result.unwrap_or_else(|refusal| {
        server.metrics.rejected(refusal.reason());
        refusal.into_response()
    });
    let code = response.status().as_u16().to_string();
    server.metrics.request(version.ok().as_deref(), "http", &code, started.elapsed());
    response
}

async fn infer(server: &Server, version: &Arc<Version>, request: Request) -> Result<Response, Refusal> {
    let headers = request.headers().clone();
    let received = receive(server, request).await?;
    let (request, pictures) = parse(&headers, &received.bytes)?;
    let asked =
        request.outputs.iter().map(|asked| Output::named(&asked.name)).collect::<Result<Vec<_>, _>>()?;
    let asked = if asked.is_empty() { Output::ALL.to_vec() } else { asked };
    let part_id = request.parameters.get("part_id").and_then(Value::as_str);
    tracing::debug!(
        model = version.model,
        version = version.number,
        part_id,
        images = pictures.len(),
        "infer"
    );
    let judged = server.judge(version, pictures).await?;
    let outputs = tensor::outputs(version, &judged, &asked)?;
    Ok(response(version, &request, &outputs))
}

/// A request and its pictures, not decoded yet.
pub(crate) fn parse(headers: &HeaderMap, body: &Bytes) -> Result<(InferRequest, Vec<Picture>), Refusal> {
    let (request, binary) = split(headers, body)?;
    let pictures = pictures(&request.inputs, binary)?;
    Ok((request, pictures))
}

/// The JSON text and what follows it.
fn split(headers: &HeaderMap, body: &Bytes) -> Result<(InferRequest, Bytes), Refusal> {
    let length = match headers.get(HEADER_LENGTH) {
        None => body.len(),
        Some(value) => {
            let length = value.to_str().ok().and_then(|text| text.trim().parse::<usize>().ok());
            length.filter(|&length| length <= body.len()).ok_or_else(|| {
                let found = String::from_utf8_lossy(value.as_bytes());
                Refusal::invalid(format!(
                    "Inference-Header-Content-Length is the length of the JSON text, at most {} here, found `{found}`",
                    body.len()
                ))
            })?
        }
    };
    let request = serde_json::from_slice(&body[..length])
        .map_err(|error| Refusal::invalid(format!("the request is no inference request in JSON: {error}")))?;
    Ok((request, body.slice(length..)))
}

fn pictures(inputs: &[Input], binary: Bytes) -> Result<Vec<Picture>, Refusal> {
    let [input] = inputs else {
        return Err(Refusal::invalid(format!("a request has one input, `{INPUT}`, found {}", inputs.len())));
    };
    if input.name != INPUT {
        return Err(Refusal::invalid(format!("the input is called `{INPUT}`, found `{}`", input.name)));
    }
    if let Some(size) = input.parameters.get("binary_data_size") {
        let size = size.as_u64().and_then(|size| usize::try_from(size).ok());
        if input.data.is_some() || size != Some(binary.len()) {
            return Err(Refusal::invalid(format!(
                "`{INPUT}` has either data or binary_data_size, which is the {} bytes after the JSON text",
                binary.len()
            )));
        }
        return tensor::pictures_of_raw(&input.datatype, &input.shape, binary);
    }
    if !binary.is_empty() {
        return Err(Refusal::invalid(format!(
            "{} bytes follow the JSON text, but `{INPUT}` has no binary_data_size",
            binary.len()
        )));
    }
    let data = input.data.as_ref().ok_or_else(|| Refusal::invalid(format!("`{INPUT}` has no data")))?;
    match input.datatype.as_str() {
        "BYTES" => {
            let content_type = input.parameters.get("content_type").and_then(Value::as_str);
            if content_type.is_some_and(|content_type| content_type != "base64") {
                return Err(Refusal::invalid("image files in JSON have the content_type `base64`"));
            }
            let mut files = Vec::new();
            flatten(data, &mut |value| {
                let text = value
                    .as_str()
                    .ok_or_else(|| Refusal::invalid("image files in JSON are texts of base64"))?;
                let file = STANDARD.decode(text);
                files.push(
                    file.map_err(|e| Refusal::invalid(format!("an image file in JSON is no base64: {e}")))?
                        .into(),
                );
                Ok(())
            })?;
            tensor::pictures_of_files(&input.shape, files)
        }
        "UINT8" => samples(input, data, u8::MAX.into(), |raw, sample| raw.push(sample as u8)),
        "UINT16" => samples(input, data, u16::MAX.into(), |raw, sample| {
            raw.extend_from_slice(&(sample as u16).to_le_bytes());
        }),
        other => Err(tensor::wrong_datatype(other)),
    }
}

fn samples(
    input: &Input,
    data: &Value,
    most: u64,
    push: fn(&mut Vec<u8>, u64),
) -> Result<Vec<Picture>, Refusal> {
    let mut raw = Vec::new();
    flatten(data, &mut |value| {
        let sample = value.as_u64().filter(|&sample| sample <= most);
        let sample = sample.ok_or_else(|| {
            Refusal::invalid(format!(
                "samples of {} are whole numbers from 0 to {most}, found {value}",
                input.datatype
            ))
        })?;
        push(&mut raw, sample);
        Ok(())
    })?;
    tensor::pictures_of_raw(&input.datatype, &input.shape, raw.into())
}

/// Elements of a tensor in JSON, which may be nested or flat. serde_json limits how deep.
fn flatten(value: &Value, take: &mut impl FnMut(&Value) -> Result<(), Refusal>) -> Result<(), Refusal> {
    match value {
        Value::Array(values) => values.iter().try_for_each(|value| flatten(value, take)),
        value => take(value),
    }
}

fn response(version: &Version, request: &InferRequest, outputs: &[Tensor]) -> Response {
    let of_request = request.parameters.get("binary_data_output").and_then(Value::as_bool).unwrap_or(false);
    let is_binary = |i: usize| {
        let of_output = request.outputs.get(i).and_then(|asked| asked.parameters.get("binary_data"));
        of_output.and_then(Value::as_bool).unwrap_or(of_request)
    };
    let mut binary = Vec::new();
    let mut described = Vec::new();
    for (i, tensor) in outputs.iter().enumerate() {
        let (name, datatype) = (tensor.output.name(), tensor.output.datatype());
        let mut one = json!({ "name": name, "datatype": datatype, "shape": tensor.shape });
        if is_binary(i) {
            let raw = tensor.values.to_raw();
            one["parameters"] = json!({ "binary_data_size": raw.len() });
            binary.extend_from_slice(&raw);
        } else {
            one["data"] = tensor.values.to_json();
        }
        described.push(one);
    }
    let mut body = json!({
        "model_name": version.model,
        "model_version": version.number.to_string(),
        "parameters": { "sha256": version.sha256 },
        "outputs": described,
    });
    if let Some(id) = &request.id {
        body["id"] = json!(id);
    }
    let mut bytes = body.to_string().into_bytes();
    let json = HeaderValue::from_static("application/json");
    if (0..outputs.len()).any(is_binary) {
        let length = HeaderValue::from(bytes.len());
        bytes.append(&mut binary);
        let octets = HeaderValue::from_static("application/octet-stream");
        let mut response = ([(header::CONTENT_TYPE, octets)], bytes).into_response();
        response.headers_mut().insert(HEADER_LENGTH, length);
        return response;
    }
    ([(header::CONTENT_TYPE, json)], bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(datatype: &str, shape: &[i64], more: Value) -> Vec<u8> {
        let mut image = json!({ "name": "image", "shape": shape, "datatype": datatype });
        for (key, value) in more.as_object().expect("an object") {
            image[key] = value.clone();
        }
        json!({ "id": "1", "inputs": [image], "outputs": [{ "name": "score" }] }).to_string().into_bytes()
    }

    fn binary(datatype: &str, shape: &[i64], raw: &[u8]) -> (Vec<u8>, usize) {
        let more = json!({ "parameters": { "binary_data_size": raw.len() } });
        let mut body = request(datatype, shape, more);
        let length = body.len();
        body.extend_from_slice(raw);
        (body, length)
    }

    fn parsed(body: Vec<u8>, length: Option<usize>) -> Result<usize, Refusal> {
        let mut headers = HeaderMap::new();
        if let Some(length) = length {
            headers.insert(HEADER_LENGTH, length.into());
        }
        parse(&headers, &body.into()).map(|(_, pictures)| pictures.len())
    }

    /// Sound requests of every form.
    fn sound() -> Vec<(Vec<u8>, Option<usize>)> {
        let (files, of_files) = binary("BYTES", &[2], b"\x02\0\0\0ab\x01\0\0\0c");
        let (samples, of_samples) = binary("UINT16", &[1, 2, 3, 1], &[7; 12]);
        let base64 = json!({ "data": ["YWI=", "Yw=="], "parameters": { "content_type": "base64" } });
        vec![
            (files, Some(of_files)),
            (samples, Some(of_samples)),
            (request("BYTES", &[2], base64), None),
            (request("UINT8", &[1, 1, 2, 3], json!({ "data": [[[[1, 2, 3], [4, 5, 255]]]] })), None),
        ]
    }

    #[test]
    fn sound_requests_are_read() {
        let counts: Vec<_> = sound().into_iter().map(|(body, length)| parsed(body, length)).collect();
        assert_eq!(counts, [Ok(2), Ok(1), Ok(2), Ok(1)]);
    }

    #[test]
    fn contradictions_are_refused() {
        let refused = |body: Vec<u8>, length| parsed(body, length).expect_err("a contradiction");
        let (body, length) = binary("BYTES", &[1], b"\x01\0\0\0c");
        refused([&body[..], b"x"].concat(), Some(length));
        refused(body.clone(), None);
        refused(body[..body.len() - 1].to_vec(), Some(length));
        for data in [json!([256]), json!([-1]), json!([1.5]), json!(["1"])] {
            refused(request("UINT8", &[1, 1, 1, 1], json!({ "data": data })), None);
        }
        refused(request("BYTES", &[1], json!({ "data": ["*"] })), None);
        refused(request("BYTES", &[1], json!({})), None);
    }

    /// Requests broken at random end in a value or a refusal. `BGAD_FUZZ_MINUTES` makes it run so long.
    #[test]
    fn fuzz_broken_requests_end_in_refusals() {
        let minutes = std::env::var("BGAD_FUZZ_MINUTES").ok().and_then(|text| text.parse::<f64>().ok());
        let (started, mut state, mut rounds) = (Instant::now(), 1u64, 0);
        let mut random = move |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let words: [&[u8]; 8] =
            [b"9223372036854775807", b"-1", b"[", b"null", b"\"", b"\xff\xff\xff\xff", b"1e99", b"{}"];
        while minutes.map_or(rounds < 20_000, |minutes| started.elapsed().as_secs_f64() < 60.0 * minutes) {
            let (mut body, mut length) = sound().swap_remove(random(4));
            for _ in 0..=random(3) {
                let at = random(body.len());
                match random(4) {
                    0 => body[at] ^= 1 << random(8),
                    1 => body.truncate(at.max(1)),
                    2 => {
                        body.splice(at..at, words[random(words.len())].iter().copied());
                    }
                    _ => length = length.map(|length| (length + random(5)).saturating_sub(2)),
                }
            }
            // Whether it can be read is of no interest.
            let _ = parsed(body, length);
            rounds += 1;
        }
    }
}
