//! The shaders by name, each with the parts that it is made of.

/// One shader: the texts that are joined into one WGSL module with entry point `main`.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The op's name, or that of a second pass.
    pub name: &'static str,
    /// Shared parts, then the kernel itself.
    pub parts: &'static [&'static str],
}

impl Source {
    /// The whole module.
    pub fn text(&self) -> String {
        self.parts.join("\n")
    }
}

macro_rules! file {
    ($path:literal) => {
        include_str!(concat!("../../../shaders/", $path, ".wgsl"))
    };
}

const GRID: &str = file!("parts/grid");
const SIGMOID: &str = file!("parts/sigmoid");
const ACTIVATION: &str = concat!(file!("parts/sigmoid"), "\n", file!("parts/activation"));
const REDUCE: &str = file!("parts/reduce");
const BITS: &str = file!("parts/bits");
const PLANES: &str = file!("parts/planes");
const NORM: &str = file!("parts/norm");
const POOL: &str = file!("parts/pool");
const TAPS: &str = file!("parts/taps");
const PHILOX: &str = file!("parts/philox");
const PRODUCT4: &str = concat!(file!("parts/product"), "\n", file!("parts/product4"));
const PRODUCT8: &str = concat!(file!("parts/product"), "\n", file!("parts/product8"));

/// Every shader.
pub static SHADERS: &[Source] = &[
    Source { name: "conv2d", parts: &[GRID, ACTIVATION, PRODUCT4, file!("conv2d")] },
    Source { name: "conv2d.8", parts: &[GRID, ACTIVATION, PRODUCT8, file!("conv2d")] },
    Source { name: "conv2d_grad_input", parts: &[GRID, PRODUCT4, file!("conv2d_grad_input")] },
    Source { name: "conv2d_grad_input.8", parts: &[GRID, PRODUCT8, file!("conv2d_grad_input")] },
    Source { name: "conv2d_grad_weight", parts: &[GRID, PRODUCT4, file!("conv2d_grad_weight")] },
    Source { name: "conv2d_grad_weight.8", parts: &[GRID, PRODUCT8, file!("conv2d_grad_weight")] },
    Source { name: "conv_transpose2x2", parts: &[GRID, PRODUCT4, file!("conv_transpose2x2")] },
    Source { name: "conv_transpose2x2.8", parts: &[GRID, PRODUCT8, file!("conv_transpose2x2")] },
    Source {
        name: "conv_transpose2x2_grad_input",
        parts: &[GRID, PRODUCT4, file!("conv_transpose2x2_grad_input")],
    },
    Source {
        name: "conv_transpose2x2_grad_input.8",
        parts: &[GRID, PRODUCT8, file!("conv_transpose2x2_grad_input")],
    },
    Source {
        name: "conv_transpose2x2_grad_weight",
        parts: &[GRID, PRODUCT4, file!("conv_transpose2x2_grad_weight")],
    },
    Source {
        name: "conv_transpose2x2_grad_weight.8",
        parts: &[GRID, PRODUCT8, file!("conv_transpose2x2_grad_weight")],
    },
    Source { name: "sum_splits", parts: &[GRID, file!("sum_splits")] },
    Source { name: "fma_peak", parts: &[GRID, file!("fma_peak")] },
    Source { name: "fill", parts: &[GRID, file!("fill")] },
    Source { name: "add", parts: &[GRID, file!("add")] },
    Source { name: "scale", parts: &[GRID, file!("scale")] },
    Source { name: "add_proximal", parts: &[GRID, file!("add_proximal")] },
    Source { name: "activate", parts: &[GRID, ACTIVATION, file!("activate")] },
    Source { name: "activate_grad", parts: &[GRID, ACTIVATION, file!("activate_grad")] },
    Source { name: "dropout", parts: &[GRID, PHILOX, file!("dropout")] },
    Source { name: "check_finite", parts: &[GRID, BITS, PLANES, file!("check_finite")] },
    Source { name: "sum_channels", parts: &[GRID, REDUCE, PLANES, file!("sum_channels")] },
    Source { name: "sum_parts", parts: &[GRID, REDUCE, file!("sum_parts")] },
    Source { name: "max_pool2d", parts: &[GRID, BITS, POOL, file!("max_pool2d")] },
    Source { name: "max_pool2d_grad", parts: &[GRID, BITS, POOL, file!("max_pool2d_grad")] },
    Source { name: "upsample", parts: &[GRID, TAPS, file!("upsample")] },
    Source { name: "upsample_grad", parts: &[GRID, TAPS, file!("upsample_grad")] },
    Source { name: "concat", parts: &[GRID, file!("concat")] },
    Source { name: "slice_channels", parts: &[GRID, file!("slice_channels")] },
    Source { name: "norm_stats", parts: &[GRID, REDUCE, PLANES, file!("norm_stats")] },
    Source { name: "norm_stats_merge", parts: &[GRID, PLANES, file!("norm_stats_merge")] },
    Source { name: "normalise", parts: &[GRID, ACTIVATION, PLANES, NORM, file!("normalise")] },
    Source {
        name: "normalise_grad_sums",
        parts: &[GRID, ACTIVATION, REDUCE, PLANES, NORM, file!("normalise_grad_sums")],
    },
    Source { name: "normalise_grad_affine", parts: &[GRID, file!("normalise_grad_affine")] },
    Source { name: "normalise_grad_means", parts: &[GRID, REDUCE, file!("normalise_grad_means")] },
    Source {
        name: "normalise_grad_input",
        parts: &[GRID, ACTIVATION, PLANES, NORM, file!("normalise_grad_input")],
    },
    Source { name: "dice_sums", parts: &[GRID, SIGMOID, REDUCE, PLANES, file!("dice_sums")] },
    Source { name: "dice_sums_grad", parts: &[GRID, SIGMOID, file!("dice_sums_grad")] },
    Source { name: "dice_loss", parts: &[GRID, file!("dice_loss")] },
    Source { name: "dice_loss_grad", parts: &[GRID, file!("dice_loss_grad")] },
    Source { name: "bce_loss", parts: &[GRID, REDUCE, PLANES, file!("bce_loss")] },
    Source { name: "bce_loss_merge", parts: &[GRID, REDUCE, file!("bce_loss_merge")] },
    Source { name: "bce_loss_grad", parts: &[GRID, SIGMOID, file!("bce_loss_grad")] },
    Source { name: "update_running", parts: &[GRID, file!("update_running")] },
    Source { name: "sgd_update", parts: &[GRID, file!("sgd_update")] },
    Source { name: "adam_update", parts: &[GRID, file!("adam_update")] },
    Source { name: "average_update", parts: &[GRID, file!("average_update")] },
];

/// The name of a product's shader with the given results per invocation along each axis.
///
/// # Panics
/// When `op` is no product: see [`source`].
pub fn product(op: &str, edge: usize) -> &'static str {
    source(&if edge == 4 { op.to_owned() } else { format!("{op}.{edge}") }).name
}

/// The shader of that name.
///
/// # Panics
/// When there is none: lowering names shaders of the table only, and a test lowers every op.
pub fn source(name: &str) -> &'static Source {
    SHADERS.iter().find(|source| source.name == name).expect("lowering names a shader of the table")
}
