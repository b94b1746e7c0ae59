//! Shape inference: what each op demands of its inputs and what it gives.

use crate::{Activation, Channels, GraphError, Hyper, Op, StatsOver};
use fovea_tensor::{Shape, Window};

type Inferred = Result<Option<Shape>, GraphError>;

impl Op {
    /// The result's shape, `None` for updates in place.
    ///
    /// # Errors
    /// When the number of inputs, their shapes or an attribute is wrong.
    pub fn infer(&self, inputs: &[Shape]) -> Inferred {
        let rule = Rule { op: self, inputs };
        match *self {
            Op::Fill { .. } => rule.arity(0, 0, "0").map(|()| Some(Shape::scalar())),
            Op::Conv2d { window, activation } => rule.conv2d(1, window, activation),
            Op::Conv2dPair { window, activation } => rule.conv2d(2, window, activation),
            Op::Conv2dGradInput { window, input, channels } => {
                rule.conv2d_grad_input(window, input, channels)
            }
            Op::Conv2dGradWeight { window } => rule.conv2d_grad_weight(1, window),
            Op::Conv2dPairGradWeight { window } => rule.conv2d_grad_weight(2, window),
            Op::SumChannels => rule.sum_channels(),
            Op::ConvTranspose2x2 => rule.transpose(),
            Op::ConvTranspose2x2GradInput => rule.transpose_grad_input(),
            Op::ConvTranspose2x2GradWeight => rule.transpose_grad_weight(),
            Op::MaxPool2d { window } => rule.max_pool(window),
            Op::MaxPool2dGrad { window } => rule.max_pool_grad(window),
            Op::Upsample { factor, .. } => rule.upsample(factor),
            Op::UpsampleGrad { factor, .. } => rule.upsample_grad(factor),
            Op::Concat => rule.concat(),
            Op::SliceChannels(channels) => rule.slice_channels(channels),
            Op::Add => rule.same(2),
            Op::Scale { .. } => rule.same(1),
            Op::AddProximal { .. } => rule.same(3),
            Op::Activate { function } => rule.activation(function).and_then(|()| rule.same(1)),
            Op::ActivateGrad { function } => rule.activation(function).and_then(|()| rule.same(2)),
            Op::NormStats { over, groups } => rule.norm_stats(over, groups),
            Op::Normalise { epsilon, activation } => rule.normalise(epsilon, activation, 4),
            Op::NormaliseGradSums { epsilon, activation } => rule.normalise_grad_sums(epsilon, activation),
            Op::NormaliseGradAffine { .. } => rule.normalise_grad_affine(),
            Op::NormaliseGradInput { epsilon, activation } => rule.normalise_grad_input(epsilon, activation),
            Op::Dropout { p, .. } => rule.dropout(p),
            Op::DiceSums => rule.pixelwise(3).and_then(|n| some(&[n, 3])),
            Op::DiceSumsGrad => rule.dice_sums_grad(),
            Op::DiceLoss { smooth, .. } => rule.dice_loss(smooth),
            Op::DiceLossGrad { smooth, .. } => rule.dice_loss_grad(smooth),
            Op::BceLoss => rule.pixelwise(3).map(|_| Some(Shape::scalar())),
            Op::BceLossGrad => rule.bce_loss_grad(),
            Op::UpdateRunning { momentum, count } => rule.update_running(momentum, count),
            Op::SgdUpdate { .. } => rule.optimiser(3),
            Op::AdamUpdate(_) => rule.optimiser(4),
            Op::AverageUpdate => rule.optimiser(2),
        }
    }
}

fn some(dims: &[usize]) -> Inferred {
    Ok(Some(Shape::new(dims)?))
}

/// The checks that rules are made of.
struct Rule<'a> {
    op: &'a Op,
    inputs: &'a [Shape],
}

impl Rule<'_> {
    fn arity(&self, least: usize, most: usize, expected: &'static str) -> Result<(), GraphError> {
        let found = self.inputs.len();
        if (least..=most).contains(&found) {
            return Ok(());
        }
        Err(GraphError::Arity { op: self.op.name(), expected, found })
    }

    fn require(&self, holds: bool, rule: &'static str) -> Result<(), GraphError> {
        if holds {
            return Ok(());
        }
        Err(GraphError::Shapes { op: self.op.name(), rule, shapes: self.inputs.to_vec() })
    }

    fn require_attribute(&self, holds: bool, rule: &'static str) -> Result<(), GraphError> {
        if holds {
            return Ok(());
        }
        Err(GraphError::Attribute { op: self.op.name(), rule })
    }

    fn nchw(&self, i: usize) -> Result<[usize; 4], GraphError> {
        self.inputs[i].nchw().ok_or(GraphError::Shapes {
            op: self.op.name(),
            rule: "a value of rank 4 is wanted",
            shapes: self.inputs.to_vec(),
        })
    }

    fn same(&self, count: usize) -> Inferred {
        self.arity(count, count, ["0", "1", "2", "3"][count])?;
        self.require(self.inputs.iter().all(|s| *s == self.inputs[0]), "all shapes must be equal")?;
        Ok(Some(self.inputs[0]))
    }

    fn activation(&self, activation: Activation) -> Result<(), GraphError> {
        let invertible =
            !matches!(activation, Activation::LeakyRelu { slope } if slope.is_nan() || slope <= 0.0);
        self.require_attribute(invertible, "the slope of a leaky ReLU must be positive")
    }

    /// `(N, C, H, W)` of the first input, or of the concatenation of the first two.
    fn joined(&self, parts: usize) -> Result<[usize; 4], GraphError> {
        let [n, mut channels, h, w] = self.nchw(0)?;
        for part in 1..parts {
            let [nb, b, hb, wb] = self.nchw(part)?;
            self.require((n, h, w) == (nb, hb, wb), "images and pixels must agree")?;
            channels += b;
        }
        Ok([n, channels, h, w])
    }

    fn channels(&self, Channels { start, count }: Channels, all: usize) -> Result<(), GraphError> {
        let inside = count > 0 && start.checked_add(count).is_some_and(|end| end <= all);
        self.require_attribute(inside, "the range must lie inside the channels")
    }

    /// A convolution of the concatenation of the first `parts` inputs.
    fn conv2d(&self, parts: usize, window: Window, activation: Activation) -> Inferred {
        self.activation(activation)?;
        self.require_attribute(
            activation.saves_output(),
            "the fused activation must be invertible from its output",
        )?;
        self.arity(parts + 1, parts + 2, ["2 or 3", "3 or 4"][parts - 1])?;
        let ([n, c, h, w], [o, i, kh, kw]) = (self.joined(parts)?, self.nchw(parts)?);
        self.require(i == c && kh == window.kernel && kw == window.kernel, "weights are (Cout, Cin, K, K)")?;
        self.require_attribute(window.kernel % 2 == 1, "the kernel must be odd")?;
        let bias = self.inputs.get(parts + 1);
        self.require(bias.is_none_or(|b| b.dims() == [o]), "the bias is (Cout)")?;
        some(&[n, o, window.output(h)?, window.output(w)?])
    }

    fn conv2d_grad_input(&self, window: Window, [h, w]: [usize; 2], channels: Channels) -> Inferred {
        self.arity(2, 2, "2")?;
        let ([o, i, kh, kw], [n, c, ho, wo]) = (self.nchw(0)?, self.nchw(1)?);
        self.require(kh == window.kernel && kw == window.kernel && c == o, "weights are (Cout, Cin, K, K)")?;
        self.channels(channels, i)?;
        self.require(
            (window.output(h)?, window.output(w)?) == (ho, wo),
            "dy must have the output's extents",
        )?;
        some(&[n, channels.count, h, w])
    }

    fn conv2d_grad_weight(&self, parts: usize, window: Window) -> Inferred {
        self.arity(parts + 1, parts + 1, ["2", "3"][parts - 1])?;
        let ([n, c, h, w], [nd, o, ho, wo]) = (self.joined(parts)?, self.nchw(parts)?);
        let want = (n, window.output(h)?, window.output(w)?);
        self.require(want == (nd, ho, wo), "dy must have the output's extents")?;
        some(&[o, c, window.kernel, window.kernel])
    }

    fn transpose(&self) -> Inferred {
        self.arity(2, 3, "2 or 3")?;
        let ([n, c, h, w], [i, o, kh, kw]) = (self.nchw(0)?, self.nchw(1)?);
        self.require(i == c && (kh, kw) == (2, 2), "weights are (Cin, Cout, 2, 2)")?;
        self.require(self.inputs.len() < 3 || self.inputs[2].dims() == [o], "the bias is (Cout)")?;
        some(&[n, o, 2 * h, 2 * w])
    }

    fn transpose_grad_input(&self) -> Inferred {
        self.arity(2, 2, "2")?;
        let ([i, o, kh, kw], [n, c, h, w]) = (self.nchw(0)?, self.nchw(1)?);
        self.require(o == c && (kh, kw) == (2, 2), "weights are (Cin, Cout, 2, 2)")?;
        self.require(h % 2 == 0 && w % 2 == 0, "dy has even extents")?;
        some(&[n, i, h / 2, w / 2])
    }

    fn transpose_grad_weight(&self) -> Inferred {
        self.arity(2, 2, "2")?;
        let ([n, c, h, w], [nd, o, hd, wd]) = (self.nchw(0)?, self.nchw(1)?);
        self.require((n, 2 * h, 2 * w) == (nd, hd, wd), "dy has twice the extents of x")?;
        some(&[c, o, 2, 2])
    }

    fn sum_channels(&self) -> Inferred {
        self.arity(1, 1, "1")?;
        some(&[self.nchw(0)?[1]])
    }

    fn max_pool(&self, window: Window) -> Inferred {
        self.arity(1, 1, "1")?;
        let [n, c, h, w] = self.nchw(0)?;
        some(&[n, c, window.output(h)?, window.output(w)?])
    }

    fn max_pool_grad(&self, window: Window) -> Inferred {
        self.arity(2, 2, "2")?;
        let [n, c, h, w] = self.nchw(0)?;
        let want = [n, c, window.output(h)?, window.output(w)?];
        self.require(self.nchw(1)? == want, "dy must have the pooled shape")?;
        Ok(Some(self.inputs[0]))
    }

    fn upsample(&self, factor: usize) -> Inferred {
        self.arity(1, 1, "1")?;
        self.require_attribute(factor >= 2, "the factor must be at least 2")?;
        let [n, c, h, w] = self.nchw(0)?;
        some(&[n, c, h.saturating_mul(factor), w.saturating_mul(factor)])
    }

    fn upsample_grad(&self, factor: usize) -> Inferred {
        self.arity(1, 1, "1")?;
        self.require_attribute(factor >= 2, "the factor must be at least 2")?;
        let [n, c, h, w] = self.nchw(0)?;
        self.require(h % factor == 0 && w % factor == 0, "extents must be multiples of the factor")?;
        some(&[n, c, h / factor, w / factor])
    }

    fn concat(&self) -> Inferred {
        self.arity(2, 2, "2")?;
        some(&self.joined(2)?)
    }

    fn slice_channels(&self, channels: Channels) -> Inferred {
        self.arity(1, 1, "1")?;
        let [n, c, h, w] = self.nchw(0)?;
        self.channels(channels, c)?;
        some(&[n, channels.count, h, w])
    }

    fn norm_stats(&self, over: StatsOver, groups: usize) -> Inferred {
        self.arity(1, 1, "1")?;
        let [n, c, ..] = self.nchw(0)?;
        self.require_attribute(groups > 0 && c % groups == 0, "groups must divide the channels")?;
        some(&[if over == StatsOver::Image { n } else { 1 }, groups, 2])
    }

    fn normalise(&self, epsilon: f32, activation: Activation, count: usize) -> Inferred {
        self.arity(count, count, ["4", "5", "6"][count - 4])?;
        self.activation(activation)?;
        self.require_attribute(epsilon > 0.0, "epsilon must be positive")?;
        let [n, c, ..] = self.nchw(0)?;
        let stats = self.inputs[1].dims();
        let fits = matches!(stats, [s, g, 2] if (*s == n || *s == 1) && c % g == 0);
        self.require(fits, "statistics are (N or 1, G, 2) with G a divisor of C")?;
        self.require(self.inputs[2].dims() == [c] && self.inputs[3].dims() == [c], "gamma and beta are (C)")?;
        self.require(count < 5 || self.inputs[4] == self.inputs[0], "dy must have the shape of x")?;
        Ok(Some(self.inputs[0]))
    }

    fn normalise_grad_sums(&self, epsilon: f32, activation: Activation) -> Inferred {
        self.normalise(epsilon, activation, 5)?;
        let [n, c, ..] = self.nchw(0)?;
        some(&[n, c, 2])
    }

    fn normalise_grad_affine(&self) -> Inferred {
        self.arity(1, 1, "1")?;
        self.require(matches!(self.inputs[0].dims(), [_, _, 2]), "sums are (N, C, 2)")?;
        some(&[self.inputs[0].dims()[1]])
    }

    fn normalise_grad_input(&self, epsilon: f32, activation: Activation) -> Inferred {
        let shape = self.normalise(epsilon, activation, 6)?;
        let [n, c, ..] = self.nchw(0)?;
        self.require(self.inputs[5].dims() == [n, c, 2], "sums are (N, C, 2)")?;
        Ok(shape)
    }

    fn dropout(&self, p: f32) -> Inferred {
        self.require_attribute((0.0..1.0).contains(&p), "p must be in [0, 1)")?;
        self.same(1)
    }

    /// Checks logits, target and field; returns the number of images.
    fn pixelwise(&self, count: usize) -> Result<usize, GraphError> {
        self.arity(count, count, if count == 3 { "3" } else { "4" })?;
        let [n, c, ..] = self.nchw(0)?;
        self.require(c == 1, "losses take one channel")?;
        self.require(
            self.inputs[1] == self.inputs[0] && self.inputs[2] == self.inputs[0],
            "shapes must be equal",
        )?;
        Ok(n)
    }

    fn dice_sums_grad(&self) -> Inferred {
        let n = self.pixelwise(4)?;
        self.require(self.inputs[3].dims() == [n, 3], "dsums are (N, 3)")?;
        Ok(Some(self.inputs[0]))
    }

    fn dice_loss(&self, smooth: f32) -> Inferred {
        self.arity(1, 1, "1")?;
        self.dice_sums(smooth)?;
        Ok(Some(Shape::scalar()))
    }

    fn dice_loss_grad(&self, smooth: f32) -> Inferred {
        self.arity(2, 2, "2")?;
        self.dice_sums(smooth)?;
        self.require(self.inputs[1] == Shape::scalar(), "dloss is (1)")?;
        Ok(Some(self.inputs[0]))
    }

    fn dice_sums(&self, smooth: f32) -> Result<(), GraphError> {
        self.require_attribute(smooth > 0.0, "smooth must be positive")?;
        self.require(matches!(self.inputs[0].dims(), [_, 3]), "sums are (N, 3)")
    }

    fn bce_loss_grad(&self) -> Inferred {
        self.pixelwise(4)?;
        self.require(self.inputs[3] == Shape::scalar(), "dloss is (1)")?;
        Ok(Some(self.inputs[0]))
    }

    fn update_running(&self, momentum: f32, count: usize) -> Inferred {
        self.same(2)?;
        let valid = (0.0..=1.0).contains(&momentum) && count > 1;
        self.require_attribute(valid, "momentum in [0, 1], count above 1")?;
        self.require(matches!(self.inputs[0].dims(), [1, _, 2]), "statistics are (1, C, 2)")?;
        Ok(None)
    }

    fn optimiser(&self, tensors: usize) -> Inferred {
        self.arity(tensors + 1, tensors + 1, ["3", "4", "5"][tensors - 2])?;
        let equal = self.inputs[..tensors].iter().all(|s| *s == self.inputs[0]);
        self.require(equal, "weight, gradient and moments must have one shape")?;
        self.require(self.inputs[tensors].dims() == [Hyper::COUNT], "hyper is (4)")?;
        Ok(None)
    }
}
