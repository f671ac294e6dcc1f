//! A graph under construction: constants and nodes in the order they are asked for.

mod backbone;
mod flow;
mod score;
mod whole;

pub(crate) use whole::{INPUT, Outputs, View, of_model};

use crate::messages::{
    Attribute, BOOL, Dimension, FLOAT, Graph, INT64, Node, Shape, Tensor, TensorType, Type, ValueInfo,
};

/// A value of the graph, by its name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value(String);

/// A fixed attribute of a node.
pub(crate) enum Fixed<'a> {
    Int(&'static str, i64),
    Ints(&'static str, &'a [usize]),
}

/// What was built so far.
#[derive(Default)]
pub(crate) struct Builder {
    graph: Graph,
    /// What new names begin with.
    scope: String,
}

impl Builder {
    /// From now on names begin with this.
    pub(crate) fn scope(&mut self, scope: impl Into<String>) {
        self.scope = scope.into();
    }

    fn fresh(&self, what: &str) -> String {
        format!("{}/{what}_{}", self.scope, self.graph.node.len() + self.graph.initializer.len())
    }

    fn tensor(&mut self, dims: &[usize], data_type: i32, raw_data: Vec<u8>) -> Value {
        let name = self.fresh("constant");
        self.graph.initializer.push(Tensor {
            dims: dims.iter().map(|&n| n as i64).collect(),
            data_type: Some(data_type),
            name: Some(name.clone()),
            raw_data: Some(raw_data),
        });
        Value(name)
    }

    /// A constant of this shape.
    ///
    /// # Panics
    ///
    /// If it has another number of values.
    pub(crate) fn constant(&mut self, dims: &[usize], values: &[f32]) -> Value {
        assert_eq!(dims.iter().product::<usize>(), values.len(), "values of a tensor of {dims:?}");
        self.tensor(dims, FLOAT, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// A single number.
    pub(crate) fn number(&mut self, value: f32) -> Value {
        self.constant(&[], &[value])
    }

    /// A list of whole numbers.
    pub(crate) fn whole_numbers(&mut self, values: &[usize]) -> Value {
        let bytes = values.iter().flat_map(|&v| (v as i64).to_le_bytes()).collect();
        self.tensor(&[values.len()], INT64, bytes)
    }

    /// A mask of this shape.
    pub(crate) fn mask(&mut self, dims: &[usize], inside: &[bool]) -> Value {
        self.tensor(dims, BOOL, inside.iter().map(|&b| u8::from(b)).collect())
    }

    /// The results of a node.
    pub(crate) fn node<const N: usize>(
        &mut self,
        op: &str,
        inputs: &[&Value],
        fixed: &[Fixed<'_>],
    ) -> [Value; N] {
        let name = self.fresh(op);
        let outputs: [Value; N] = std::array::from_fn(|i| Value(format!("{name}.{i}")));
        let attribute = |fixed: &Fixed<'_>| match fixed {
            Fixed::Int(name, i) => Attribute {
                name: Some((*name).to_owned()),
                i: Some(*i),
                ints: Vec::new(),
                kind: Some(Attribute::INT),
            },
            Fixed::Ints(name, ints) => Attribute {
                name: Some((*name).to_owned()),
                i: None,
                ints: ints.iter().map(|&i| i as i64).collect(),
                kind: Some(Attribute::INTS),
            },
        };
        self.graph.node.push(Node {
            input: inputs.iter().map(|value| value.0.clone()).collect(),
            output: outputs.iter().map(|value| value.0.clone()).collect(),
            name: Some(name),
            op_type: Some(op.to_owned()),
            attribute: fixed.iter().map(attribute).collect(),
        });
        outputs
    }

    /// The one result of a node without attributes.
    pub(crate) fn op(&mut self, op: &str, inputs: &[&Value]) -> Value {
        let [value] = self.node(op, inputs, &[]);
        value
    }

    /// The one result of a node.
    pub(crate) fn op_with(&mut self, op: &str, inputs: &[&Value], fixed: &[Fixed<'_>]) -> Value {
        let [value] = self.node(op, inputs, fixed);
        value
    }

    /// `value op number`.
    pub(crate) fn op_number(&mut self, op: &str, value: &Value, number: f32) -> Value {
        let number = self.number(number);
        self.op(op, &[value, &number])
    }

    /// A sum over one axis.
    pub(crate) fn sum(&mut self, value: &Value, axis: usize, keep: bool) -> Value {
        let axes = self.whole_numbers(&[axis]);
        self.op_with("ReduceSum", &[value, &axes], &[Fixed::Int("keepdims", i64::from(keep))])
    }

    /// `ReduceMax`, `ReduceMin` or `ReduceMean`, which take their axes as an attribute.
    pub(crate) fn reduce(&mut self, op: &str, value: &Value, axes: &[usize], keep: bool) -> Value {
        self.op_with(op, &[value], &[Fixed::Ints("axes", axes), Fixed::Int("keepdims", i64::from(keep))])
    }

    /// `[N, ...]` as `[N, all the rest]`.
    pub(crate) fn flat(&mut self, value: &Value) -> Value {
        self.op_with("Flatten", &[value], &[Fixed::Int("axis", 1)])
    }

    /// Gives a value the name under which it leaves the graph; `dims` follow the batch. An `Identity` would do, but OpenVINO drops it and
    /// then knows the output by two names.
    ///
    /// # Panics
    ///
    /// If no node makes the value.
    pub(crate) fn output(&mut self, name: &str, value: &Value, elements: i32, dims: &[usize]) {
        let mut made = false;
        for node in &mut self.graph.node {
            node.input
                .iter_mut()
                .filter(|input| **input == value.0)
                .for_each(|input| *input = name.to_owned());
            for output in node.output.iter_mut().filter(|output| **output == value.0) {
                *output = name.to_owned();
                made = true;
            }
        }
        assert!(made, "{} is made by a node and leaves the graph under one name", value.0);
        self.graph.output.push(batch_of(name, elements, dims));
    }

    /// An input of floating-point numbers; `dims` follow the batch.
    pub(crate) fn input(&mut self, name: &str, dims: &[usize]) -> Value {
        self.graph.input.push(batch_of(name, FLOAT, dims));
        Value(name.to_owned())
    }

    /// What was built.
    pub(crate) fn finish(self) -> Graph {
        Graph { name: Some("bgad".to_owned()), ..self.graph }
    }
}

fn batch_of(name: &str, elements: i32, dims: &[usize]) -> ValueInfo {
    let batch = Dimension { value: None, parameter: Some("N".to_owned()) };
    let fixed = dims.iter().map(|&n| Dimension { value: Some(n as i64), parameter: None });
    let shape = Shape { dim: std::iter::once(batch).chain(fixed).collect() };
    let tensor = TensorType { elements: Some(elements), shape: Some(shape) };
    ValueInfo { name: Some(name.to_owned()), kind: Some(Type { tensor: Some(tensor) }) }
}

#[cfg(test)]
mod tests;
