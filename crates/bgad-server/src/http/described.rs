//! Metadata and configuration of a model in JSON.

use serde_json::{Value, json};

use crate::tensor::{INPUT, Output};
use crate::version::Version;

pub(super) fn metadata(version: &Version, versions: &[String]) -> Value {
    json!({
        "name": version.model,
        "versions": versions,
        "platform": "bgad",
        "inputs": [{ "name": INPUT, "datatype": "BYTES", "shape": [-1] }],
        "outputs": Output::ALL.map(|output| {
            json!({ "name": output.name(), "datatype": output.datatype(), "shape": output.shape() })
        }),
        "properties": { "sha256": version.sha256 },
    })
}

pub(super) fn config(version: &Version) -> Value {
    let header = version.detector.header();
    let dims = |output: Output| output.shape();
    json!({
        "name": version.model,
        "platform": "bgad",
        "backend": "bgad",
        "max_batch_size": 0,
        "version_policy": { "latest": { "num_versions": 2 } },
        "input": [{ "name": INPUT, "data_type": "TYPE_STRING", "dims": [-1] }],
        "output": Output::ALL.map(|output| {
            let data_type = match output.datatype() {
                "FP32" => "TYPE_FP32",
                "BOOL" => "TYPE_BOOL",
                _ => "TYPE_STRING",
            };
            json!({ "name": output.name(), "data_type": data_type, "dims": dims(output) })
        }),
        "parameters": {
            "sha256": { "string_value": version.sha256 },
            "t_ok": { "string_value": header.thresholds.ok.to_string() },
            "t_ng": { "string_value": header.thresholds.ng.to_string() },
            "backbone": { "string_value": header.backbone },
        },
    })
}
