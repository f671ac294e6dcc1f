//! The backbone: `[N, 3, H, W]`, RGB from 0 to 1, to feature maps `[N, C, h, w]`.

use bgad::backbone::layers::{Activation, BlockLayers, Convolution, Gate, Layers, Padding, Shortcut};
use bgad::pyramid::Levels;

use super::{Builder, Fixed, Value};

/// A value and its rows and columns.
#[derive(Clone)]
struct Sized {
    value: Value,
    size: (usize, usize),
}

impl Builder {
    /// The chosen levels of a backbone, the finest first.
    pub(crate) fn backbone(
        &mut self,
        layers: &Layers,
        levels: Levels,
        input: &Value,
        size: (usize, usize),
    ) -> Vec<Value> {
        self.scope("normalise");
        let (mean, std) = layers.mean_std;
        let mean = self.constant(&[1, 3, 1, 1], &mean);
        let std = self.constant(&[1, 3, 1, 1], &std);
        let centred = self.op("Sub", &[input, &mean]);
        let value = self.op("Div", &[&centred, &std]);

        self.scope("backbone/stem");
        let mut x = self.convolved(&layers.stem, &Sized { value, size });
        if layers.is_pooled {
            x = self.maxima(&x);
        }
        let mut found = Vec::new();
        let wanted = levels.chosen().count();
        for block in &layers.blocks {
            self.scope(format!("backbone/{}", block.name));
            x = self.block(block, x);
            if block.level.is_some_and(|level| levels.contains(level)) {
                found.push(x.value.clone());
                if found.len() == wanted {
                    break;
                }
            }
        }
        found
    }

    fn block(&mut self, block: &BlockLayers, x: Sized) -> Sized {
        let mut y = x.clone();
        for (i, layer) in block.body.iter().enumerate() {
            y = self.convolved(layer, &y);
            if let Some(gate) = block.gate.as_ref().filter(|gate| gate.behind == i) {
                y.value = self.gated(gate, &y.value);
            }
        }
        let added = match &block.shortcut {
            Shortcut::None => None,
            Shortcut::Identity => Some(x),
            Shortcut::Convolution(layer) => Some(self.convolved(layer, &x)),
        };
        let sum = match added {
            None => y.value,
            Some(added) => self.op("Add", &[&y.value, &added.value]),
        };
        Sized { value: self.activated(block.activation, &sum), size: y.size }
    }

    /// Squeeze and excitation.
    fn gated(&mut self, gate: &Gate, d: &Value) -> Value {
        let mean = Sized { value: self.op("GlobalAveragePool", &[d]), size: (1, 1) };
        let hidden = self.convolved(&gate.reduce, &mean);
        let gate = self.convolved(&gate.expand, &hidden);
        let gate = self.op("Sigmoid", &[&gate.value]);
        self.op("Mul", &[d, &gate])
    }

    /// Maxima of 3 x 3, every other one.
    fn maxima(&mut self, x: &Sized) -> Sized {
        let (top, bottom) = Padding::Half.around(x.size.0, 3, 2);
        let (left, right) = Padding::Half.around(x.size.1, 3, 2);
        let fixed = [
            Fixed::Ints("kernel_shape", &[3, 3]),
            Fixed::Ints("strides", &[2, 2]),
            Fixed::Ints("pads", &[top, left, bottom, right]),
        ];
        let value = self.op_with("MaxPool", &[&x.value], &fixed);
        Sized { value, size: (x.size.0.div_ceil(2), x.size.1.div_ceil(2)) }
    }

    fn activated(&mut self, activation: Activation, x: &Value) -> Value {
        match activation {
            Activation::None => x.clone(),
            Activation::Relu => self.op("Relu", &[x]),
            Activation::Relu6 => {
                let (low, high) = (self.number(0.0), self.number(6.0));
                self.op("Clip", &[x, &low, &high])
            }
            Activation::Silu => {
                let gate = self.op("Sigmoid", &[x]);
                self.op("Mul", &[x, &gate])
            }
        }
    }

    fn convolved(&mut self, layer: &Convolution, x: &Sized) -> Sized {
        let Convolution { kernel, stride, groups, padding, .. } = *layer;
        let output = layer.bias.len();
        let input = layer.weights.len() / (output * kernel * kernel);
        let weights = self.constant(&[output, input, kernel, kernel], &layer.weights);
        let bias = self.constant(&[output], &layer.bias);
        let (top, bottom) = padding.around(x.size.0, kernel, stride);
        let (left, right) = padding.around(x.size.1, kernel, stride);
        let fixed = [
            Fixed::Ints("kernel_shape", &[kernel, kernel]),
            Fixed::Ints("strides", &[stride, stride]),
            Fixed::Ints("pads", &[top, left, bottom, right]),
            Fixed::Int("group", groups as i64),
        ];
        let value = self.op_with("Conv", &[&x.value, &weights, &bias], &fixed);
        let value = self.activated(layer.activation, &value);
        Sized { value, size: (x.size.0.div_ceil(stride), x.size.1.div_ceil(stride)) }
    }

    /// `matrix x + bias` at every position of `[N, input, h, w]`; `matrix` is `[output, input]`.
    pub(crate) fn affine(&mut self, matrix: &[f32], bias: Option<&[f32]>, output: usize, x: &Value) -> Value {
        let weights = self.constant(&[output, matrix.len() / output, 1, 1], matrix);
        let fixed = [Fixed::Ints("kernel_shape", &[1, 1])];
        match bias {
            None => self.op_with("Conv", &[x, &weights], &fixed),
            Some(bias) => {
                let bias = self.constant(&[output], bias);
                self.op_with("Conv", &[x, &weights, &bias], &fixed)
            }
        }
    }
}
