//! Inference over gRPC.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tonic::{Code, Status};

use crate::inference::infer_parameter::ParameterChoice;
use crate::inference::model_infer_response::InferOutputTensor;
use crate::inference::{InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse};
use crate::picture::Picture;
use crate::refusal::Refusal;
use crate::server::{Held, Server};
use crate::tensor::{self, INPUT, Output};
use crate::version::Version;

pub(super) async fn infer(server: &Server, request: ModelInferRequest) -> Result<ModelInferResponse, Status> {
    let started = Instant::now();
    let version = server.library.get(&request.model_name, Some(&request.model_version));
    let result = match &version {
        Ok(version) => answer(server, version, request).await,
        Err(refusal) => Err(refusal.clone()),
    };
    let result = result.map_err(|refusal| {
        server.metrics.rejected(refusal.reason());
        Status::from(refusal)
    });
    let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
    server.metrics.request(version.ok().as_deref(), "grpc", &format!("{code:?}"), started.elapsed());
    result
}

async fn answer(
    server: &Server,
    version: &Arc<Version>,
    request: ModelInferRequest,
) -> Result<ModelInferResponse, Refusal> {
    let asked =
        request.outputs.iter().map(|asked| Output::named(&asked.name)).collect::<Result<Vec<_>, _>>()?;
    let asked = if asked.is_empty() { Output::ALL.to_vec() } else { asked };
    let part_id = match request.parameters.get("part_id").and_then(|value| value.parameter_choice.as_ref()) {
        Some(ParameterChoice::StringParam(id)) => Some(id.clone()),
        _ => None,
    };
    let id = request.id.clone();
    let (pictures, _held) = pictures(server, request)?;
    tracing::debug!(
        model = version.model,
        version = version.number,
        part_id,
        images = pictures.len(),
        "infer"
    );
    let judged = server.judge(version, pictures).await?;
    let outputs = tensor::outputs(version, &judged, &asked)?;
    let sha256 = ParameterChoice::StringParam(version.sha256.clone());
    Ok(ModelInferResponse {
        model_name: version.model.clone(),
        model_version: version.number.to_string(),
        id,
        parameters: [("sha256".to_owned(), InferParameter { parameter_choice: Some(sha256) })].into(),
        raw_output_contents: outputs.iter().map(|tensor| tensor.values.to_raw()).collect(),
        outputs: outputs
            .iter()
            .map(|tensor| InferOutputTensor {
                name: tensor.output.name().to_owned(),
                datatype: tensor.output.datatype().to_owned(),
                // Sides of images are far below 2^63.
                shape: tensor.shape.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect(),
                parameters: Default::default(),
                contents: None,
            })
            .collect(),
    })
}

fn pictures(server: &Server, request: ModelInferRequest) -> Result<(Vec<Picture>, Held), Refusal> {
    let count = request.inputs.len();
    let input = request.inputs.into_iter().next().filter(|_| count == 1);
    let input = input
        .ok_or_else(|| Refusal::invalid(format!("a request has one input, `{INPUT}`, found {count}")))?;
    if input.name != INPUT {
        return Err(Refusal::invalid(format!("the input is called `{INPUT}`, found `{}`", input.name)));
    }
    let mut held = Held::default();
    let mut raw = request.raw_input_contents;
    let pictures = match (raw.pop(), input.contents) {
        (Some(content), None) if raw.is_empty() => {
            server.hold(&mut held, content.len())?;
            tensor::pictures_of_raw(&input.datatype, &input.shape, content.into())?
        }
        (None, Some(contents)) => of_contents(&input.datatype, &input.shape, contents)?,
        (None, None) => return Err(Refusal::invalid(format!("`{INPUT}` has no contents"))),
        _ => {
            return Err(Refusal::invalid(format!(
                "`{INPUT}` has either contents or one element of raw_input_contents"
            )));
        }
    };
    Ok((pictures, held))
}

fn of_contents(
    datatype: &str,
    shape: &[i64],
    contents: InferTensorContents,
) -> Result<Vec<Picture>, Refusal> {
    let sample = |most: u32| {
        let found = contents.uint_contents.iter().find(|&&sample| sample > most);
        found.map_or(Ok(()), |found| {
            Err(Refusal::invalid(format!("samples of {datatype} are at most {most}, found {found}")))
        })
    };
    match datatype {
        "BYTES" => {
            tensor::pictures_of_files(shape, contents.bytes_contents.into_iter().map(Bytes::from).collect())
        }
        "UINT8" => {
            sample(u8::MAX.into())?;
            let raw: Vec<u8> = contents.uint_contents.iter().map(|&sample| sample as u8).collect();
            tensor::pictures_of_raw(datatype, shape, raw.into())
        }
        "UINT16" => {
            sample(u16::MAX.into())?;
            let raw: Vec<u8> =
                contents.uint_contents.iter().flat_map(|&s| (s as u16).to_le_bytes()).collect();
            tensor::pictures_of_raw(datatype, shape, raw.into())
        }
        other => Err(tensor::wrong_datatype(other)),
    }
}
