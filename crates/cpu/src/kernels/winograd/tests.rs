//! The kernels alone against plain float64 loops, over shapes that the choice of kernel keeps from them.

use super::{correlate, grad_weight, suits, suits_grad_weight};
use crate::kernels::correlate::{Correlation, Epilogue};
use crate::kernels::planes::Planes;
use fovea_graph::Activation;
use fovea_tensor::Stream;
use fovea_testkit::{Tolerance, assert_close_at};

/// Images, inputs, outputs, height, width.
const SHAPES: [[usize; 5]; 9] = [
    [1, 1, 1, 1, 1],
    [2, 3, 2, 2, 3],
    [1, 2, 3, 5, 4],
    [3, 17, 5, 9, 7],
    [1, 65, 2, 6, 21],
    [1, 2, 65, 21, 6],
    [1, 3, 9, 39, 40],
    [2, 5, 4, 13, 66],
    [1, 4, 4, 3, 130],
];

/// Roundings allowed: twice the number of terms as for every sum (see `fovea_testkit::tolerance`), and 64 for the transforms. They add
/// numbers up to 6.25 times as large as the inputs in each of two dimensions, which no term count bounds when there are few
/// terms; `lines.rs` measures 6 at 1152 terms.
fn allowed(terms: usize) -> Tolerance {
    Tolerance { roundings: 2.0 * terms as f64 + 64.0 }
}

fn random(count: usize, name: &str) -> Vec<f32> {
    let mut stream = Stream::new(3, name, [count as u32, 0]);
    (0..count).map(|_| stream.normal()).collect()
}

/// Calls `f(x, w, y)` with the indices of every product of a convolution.
fn products([n, i, o, h, w]: [usize; 5], mut f: impl FnMut(usize, usize, usize)) {
    for at in 0..n * i * o * h * w * 9 {
        let (tap, at) = (at % 9, at / 9);
        let (column, row, at) = (at % w, at / w % h, at / w / h);
        let (input, output, image) = (at % i, at / i % o, at / i / o);
        let (y, x) = ((row + tap / 3).wrapping_sub(1), (column + tap % 3).wrapping_sub(1));
        if y < h && x < w {
            let from = ((image * i + input) * h + y) * w + x;
            f(from, (output * i + input) * 9 + tap, ((image * o + output) * h + row) * w + column);
        }
    }
}

#[test]
fn forward() {
    for shape @ [images, inputs, outputs, h, w] in SHAPES {
        let (x, weights) = (random(images * inputs * h * w, "x"), random(inputs * outputs * 9, "w"));
        let mut want = vec![0.0; images * outputs * h * w];
        let mut size = want.clone();
        products(shape, |i, k, o| {
            let product = f64::from(x[i]) * f64::from(weights[k]);
            want[o] += product;
            size[o] += product.abs();
        });
        let extent = [h, w];
        let c = Correlation { images, inputs, outputs, input: extent, output: extent, kernel: 3, padding: 1 };
        let plain = Epilogue { bias: None, activation: Activation::Identity };
        let mut y = vec![f32::NAN; want.len()];
        let planes = Planes::new(&x, inputs, extent);
        correlate(&c, planes, |o, i, t| weights[(o * inputs + i) * 9 + t], plain, &mut y);
        assert_close_at(&format!("{shape:?}"), &y, &want, &size, allowed(9 * inputs));
    }
}

#[test]
fn weight_gradient() {
    for shape @ [images, inputs, outputs, h, w] in SHAPES {
        let (x, dy) = (random(images * inputs * h * w, "x"), random(images * outputs * h * w, "dy"));
        let mut want = vec![0.0; inputs * outputs * 9];
        let mut size = want.clone();
        products(shape, |i, k, o| {
            let product = f64::from(x[i]) * f64::from(dy[o]);
            want[k] += product;
            size[k] += product.abs();
        });
        // A tap beside the image has no product, yet transforms leave roundings of its neighbours there.
        let largest = size.iter().copied().fold(0.0, f64::max);
        size.fill(largest);
        let extent = [h, w];
        let o = Correlation { images, inputs, outputs, input: extent, output: extent, kernel: 3, padding: 1 };
        let mut dw = vec![f32::NAN; want.len()];
        grad_weight(&o, Planes::new(&x, inputs, extent), &dy, &mut dw);
        assert_close_at(&format!("{shape:?}"), &dw, &want, &size, allowed(images * h * w));
    }
}

#[test]
fn thin_and_small_layers_stay_direct() {
    assert!(
        suits(64, 64, [224, 224])
            && suits(12, 8, [96, 96])
            && !suits(3, 64, [96, 96])
            && !suits(64, 1, [96, 96])
    );
    assert!(suits_grad_weight(2, 64, 64, [16, 16]) && !suits_grad_weight(1, 64, 64, [4, 4]));
    assert!(!suits(64, 64, [1, 1]) && !suits(64, 64, [1, 64]));
}
