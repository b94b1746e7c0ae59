//! Convolutions in input, weights and bias.

use crate::check::{ACTIVATIONS, check, head};
use fovea_graph::{Activation, Graph, Op};
use fovea_tensor::Window;

#[test]
fn conv2d_over_geometries_and_activations() {
    let fusable: Vec<Activation> = ACTIVATIONS.into_iter().filter(|a| a.saves_output()).collect();
    let mut case = 0;
    for kernel in [1, 3, 5] {
        for stride in [1, 2] {
            for padding in [0, kernel / 2] {
                for plane in [[7, 6], [5, 9]] {
                    let window = Window { kernel, stride, padding };
                    conv2d(window, plane, fusable[case % fusable.len()], case % 3 != 0);
                    case += 1;
                }
            }
        }
    }
}

fn conv2d(window: Window, [h, w]: [usize; 2], activation: Activation, bias: bool) {
    let mut g = Graph::new();
    let x = g.persistent("x", &[2, 2, h, w]).expect("a shape");
    let weight = g.persistent("w", &[3, 2, window.kernel, window.kernel]).expect("a shape");
    let mut inputs = vec![x, weight];
    if bias {
        inputs.push(g.persistent("b", &[3]).expect("a shape"));
    }
    let y = g.push(Op::Conv2d { window, activation }, &inputs).expect("fits");
    let loss = head(&mut g, y);
    check(&format!("{window:?} {h}x{w} {activation:?}"), &g, loss);
}

#[test]
fn convolution_of_a_pair() {
    let mut case = 0;
    for (kernel, stride, padding) in [(1, 1, 0), (3, 1, 1), (3, 2, 1), (5, 1, 0)] {
        for counts in [[1, 3], [2, 1]] {
            let window = Window { kernel, stride, padding };
            let mut g = Graph::new();
            let [a, b] = [("a", counts[0]), ("b", counts[1])]
                .map(|(name, channels)| g.persistent(name, &[2, channels, 6, 7]).unwrap());
            let w = g.persistent("w", &[3, counts[0] + counts[1], kernel, kernel]).unwrap();
            let mut inputs = vec![a, b, w];
            if case % 3 != 0 {
                inputs.push(g.persistent("bias", &[3]).unwrap());
            }
            let activation = [Activation::Identity, Activation::Sigmoid][case % 2];
            let y = g.push(Op::Conv2dPair { window, activation }, &inputs).unwrap();
            let loss = head(&mut g, y);
            check(&format!("{window:?} {counts:?} {activation:?}"), &g, loss);
            case += 1;
        }
    }
}

#[test]
fn a_value_paired_with_itself_gets_both_gradients() {
    let mut g = Graph::new();
    let a = g.persistent("a", &[1, 2, 4, 3]).unwrap();
    let w = g.persistent("w", &[2, 4, 3, 3]).unwrap();
    let op = Op::Conv2dPair { window: Window::same(3), activation: Activation::Identity };
    let y = g.push(op, &[a, a, w]).unwrap();
    let loss = head(&mut g, y);
    check("paired with itself", &g, loss);
}

#[test]
fn transposed_convolution() {
    for (plane, bias) in [([3, 4], true), ([1, 5], false)] {
        let mut g = Graph::new();
        let x = g.persistent("x", &[2, 3, plane[0], plane[1]]).unwrap();
        let w = g.persistent("w", &[3, 2, 2, 2]).unwrap();
        let mut inputs = vec![x, w];
        if bias {
            inputs.push(g.persistent("b", &[2]).unwrap());
        }
        let y = g.push(Op::ConvTranspose2x2, &inputs).unwrap();
        let loss = head(&mut g, y);
        check(&format!("transpose {plane:?}"), &g, loss);
    }
}

#[test]
fn gradients_stop_at_what_is_not_wanted() {
    let mut g = Graph::new();
    let x = g.input("x", &[1, 2, 4, 4]).unwrap();
    let w = g.persistent("w", &[2, 2, 3, 3]).unwrap();
    let y = g.push(Op::Conv2d { window: Window::same(3), activation: Activation::Relu }, &[x, w]).unwrap();
    let loss = head(&mut g, y);
    check("weights alone", &g, loss);
    let (d, _) = fovea_autodiff::differentiate(&g, loss, &[w]).unwrap();
    let of_head = d.nodes().iter().filter(|n| n.op.name() == "conv2d_grad_input").count();
    assert_eq!(of_head, 1, "the head passes a gradient on, the image gets none:\n{d}");
}
