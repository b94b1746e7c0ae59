//! The checker: analytic gradients of a graph against central differences.

use fovea_autodiff::differentiate;
use fovea_graph::reference::ReferenceExecutor;
use fovea_graph::{Activation, Executor, Graph, Op, Step, Storage, ValueId};
use fovea_tensor::{Stream, Window};

/// Half the distance between the two sides of a difference.
const DELTA: f64 = 1e-5;

/// Names of inputs that [`filled`] fills with numbers in [0, 1).
const FRACTIONS: [&str; 2] = ["target", "field"];

pub const STEP: Step = Step { seed: 11, index: 3 };

/// Every activation.
pub const ACTIVATIONS: [Activation; 5] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.2 },
    Activation::Silu,
    Activation::Sigmoid,
];

/// Ends a graph: mixes the channels of `y` with random weights and compares with random targets in a random field, so that
/// every number of `y` has a gradient of its own. Returns the loss.
pub fn head(graph: &mut Graph, y: ValueId) -> ValueId {
    let [n, c, h, w] = graph.shape(y).nchw().expect("an image batch");
    let weight = graph.input("head.weight", &[1, c, 1, 1]).expect("a shape");
    let mix = Op::Conv2d { window: Window::same(1), activation: Activation::Identity };
    let logits = graph.push(mix, &[y, weight]).expect("a head");
    let target = graph.input("target", &[n, 1, h, w]).expect("a shape");
    let field = graph.input("field", &[n, 1, h, w]).expect("a shape");
    graph.push(Op::BceLoss, &[logits, target, field]).expect("a head")
}

/// All persistent values.
pub fn parameters(graph: &Graph) -> Vec<ValueId> {
    graph.value_ids().filter(|&v| graph.value(v).storage == Storage::Persistent).collect()
}

/// An executor whose inputs and persistent values are filled with numbers drawn from their names.
pub fn filled(graph: &Graph) -> ReferenceExecutor {
    let mut executor = ReferenceExecutor::new(graph.clone());
    for id in graph.value_ids().filter(|&v| graph.value(v).storage != Storage::Temporary) {
        let name = &graph.value(id).name;
        let mut stream = Stream::new(5, name, [0, 0]);
        let fraction = FRACTIONS.contains(&name.as_str());
        for x in executor.value_mut(id) {
            *x = f64::from(if fraction { stream.uniform() } else { stream.normal() });
        }
    }
    executor
}

/// Differentiates `loss` in every persistent value and compares each number with a central difference.
///
/// The difference is off by about `DELTA^2` times the third derivative plus `1e-16 / DELTA`: a relative error of 1e-6
/// of the largest gradient leaves room for both, while a wrong term is of order 1.
#[track_caller]
pub fn check(what: &str, graph: &Graph, loss: ValueId) {
    let wrt = parameters(graph);
    let (with_gradients, gradients) = differentiate(graph, loss, &wrt).expect("differentiable");
    let mut executor = filled(&with_gradients);
    let nodes = with_gradients.nodes().len();
    executor.run(STEP, 0..nodes).expect("runs");
    let analytic: Vec<Vec<f64>> = gradients.iter().map(|&g| executor.value(g).to_vec()).collect();
    for (&parameter, analytic) in wrt.iter().zip(&analytic) {
        let name = &graph.value(parameter).name;
        let largest = analytic.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        assert!(largest > 1e-9, "{what}: the gradient of {name} is zero everywhere, which checks nothing");
        for (i, found) in analytic.iter().enumerate() {
            let expected = central_difference(&mut executor, graph, loss, (parameter, i));
            assert!(
                (found - expected).abs() <= 1e-6 * largest + 1e-10,
                "{what}: gradient {i} of {name} is {found}, differences give {expected}"
            );
        }
    }
}

fn central_difference(
    executor: &mut ReferenceExecutor,
    graph: &Graph,
    loss: ValueId,
    (parameter, i): (ValueId, usize),
) -> f64 {
    let centre = executor.value(parameter)[i];
    let mut at = |x: f64| {
        executor.value_mut(parameter)[i] = x;
        executor.run(STEP, 0..graph.nodes().len()).expect("runs");
        executor.value(loss)[0]
    };
    let difference = (at(centre + DELTA) - at(centre - DELTA)) / (2.0 * DELTA);
    at(centre);
    difference
}
