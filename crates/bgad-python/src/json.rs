//! Values that Rust and Python hand each other as JSON: choices in, headers and reports out.

use pyo3::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::OptionError;

/// A value as the dicts, lists, strings and numbers that `json.loads` makes of it.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value).expect("values with names as keys");
    py.import("json")?.call_method1("loads", (text,))
}

/// Choices from the JSON text that the Python side has made of its arguments.
pub(crate) fn choices<T: DeserializeOwned>(text: &str) -> PyResult<T> {
    serde_json::from_str(text).map_err(|error| {
        // Where in the text says nothing to whoever wrote keyword arguments.
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message);
        OptionError::new_err(message.replace("unknown field", "unknown option"))
    })
}
