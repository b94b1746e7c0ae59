//! Pooling, enlarging and joining.

use crate::check::{check, head};
use fovea_graph::{Graph, Op, Resize};
use fovea_tensor::Window;

#[test]
fn max_pool() {
    for (kernel, stride, padding) in [(2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 1, 0)] {
        for [h, w] in [[6, 8], [7, 5]] {
            let mut g = Graph::new();
            let x = g.persistent("x", &[2, 2, h, w]).unwrap();
            let window = Window { kernel, stride, padding };
            let y = g.push(Op::MaxPool2d { window }, &[x]).unwrap();
            let loss = head(&mut g, y);
            check(&format!("{window:?} {h}x{w}"), &g, loss);
        }
    }
}

#[test]
fn upsample() {
    let bilinear = |align_corners| Resize::Bilinear { align_corners };
    for mode in [Resize::Nearest, bilinear(false), bilinear(true)] {
        for ([h, w], factor) in [([3, 4], 2), ([4, 2], 3), ([1, 5], 2)] {
            let mut g = Graph::new();
            let x = g.persistent("x", &[2, 2, h, w]).unwrap();
            let y = g.push(Op::Upsample { mode, factor }, &[x]).unwrap();
            let loss = head(&mut g, y);
            check(&format!("{mode:?} {h}x{w} by {factor}"), &g, loss);
        }
    }
}

#[test]
fn concat() {
    let mut g = Graph::new();
    let a = g.persistent("a", &[2, 2, 3, 4]).unwrap();
    let b = g.persistent("b", &[2, 3, 3, 4]).unwrap();
    let y = g.push(Op::Concat, &[a, b]).unwrap();
    let loss = head(&mut g, y);
    check("concat", &g, loss);
}

#[test]
fn a_value_concatenated_with_itself_gets_both_slices() {
    let mut g = Graph::new();
    let a = g.persistent("a", &[1, 2, 3, 3]).unwrap();
    let y = g.push(Op::Concat, &[a, a]).unwrap();
    let loss = head(&mut g, y);
    check("concat with itself", &g, loss);
}
