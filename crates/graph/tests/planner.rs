//! The planner: values alive at one moment never share memory, for any graph.

use fovea_graph::{Activation, Graph, Op, Plan, Resize, Storage, ValueId};
use fovea_tensor::Window;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn simultaneously_live_values_do_not_overlap(
        choices in prop::collection::vec((0u8..6, any::<prop::sample::Index>(), any::<bool>()), 1..60)
    ) {
        let graph = random_graph(&choices);
        let plan = Plan::new(&graph);
        let ids: Vec<ValueId> = graph.value_ids().collect();
        for (i, &a) in ids.iter().enumerate() {
            prop_assert!(plan.offset(a) + graph.shape(a).count() <= plan.floats());
            for &b in &ids[..i] {
                let together = lifetime(&graph, a).start < lifetime(&graph, b).end
                    && lifetime(&graph, b).start < lifetime(&graph, a).end;
                prop_assert!(!together || disjoint(&graph, &plan, a, b), "{a:?} and {b:?} in\n{graph}");
            }
        }
        prop_assert!(plan.floats() >= plan.lower_bound());
        prop_assert_eq!(plan.lower_bound(), live_peak(&graph));
    }
}

/// Each choice adds one node that reads an earlier value, and may keep its result as output.
fn random_graph(choices: &[(u8, prop::sample::Index, bool)]) -> Graph {
    let mut g = Graph::new();
    let mut values = vec![
        g.input("image", &[1, 2, 8, 8]).expect("a shape"),
        g.persistent("weight", &[1, 2, 7, 9]).expect("a shape"),
    ];
    for (kind, source, keep) in choices {
        let x = values[source.index(values.len())];
        let small = g.shape(x).count() < 4096;
        let window = Window { kernel: 2, stride: 2, padding: 1 };
        let (op, inputs) = match kind {
            0 => (Op::Scale { factor: 2.0 }, vec![x]),
            1 => (Op::Add, vec![x, x]),
            2 if small => (Op::Concat, vec![x, x]),
            3 if small => (Op::Upsample { mode: Resize::Nearest, factor: 2 }, vec![x]),
            4 => (Op::MaxPool2d { window }, vec![x]),
            _ => (Op::Activate { function: Activation::Relu }, vec![x]),
        };
        let y = g.push(op, &inputs).expect("fits");
        if *keep {
            g.mark_output(y);
        }
        values.push(y);
    }
    g
}

/// The half-open range of nodes during which a value needs its memory, written without the planner.
fn lifetime(graph: &Graph, id: ValueId) -> std::ops::Range<usize> {
    let end = graph.nodes().len();
    if graph.value(id).storage != Storage::Temporary {
        return 0..end.max(1);
    }
    let born = graph.nodes().iter().position(|n| n.output == Some(id)).expect("temporaries are written");
    if graph.outputs().contains(&id) {
        return born..end;
    }
    let last = graph.nodes().iter().rposition(|n| n.inputs.contains(&id)).unwrap_or(born);
    born..last + 1
}

fn disjoint(graph: &Graph, plan: &Plan, a: ValueId, b: ValueId) -> bool {
    let range = |id| plan.offset(id)..plan.offset(id) + graph.shape(id).count();
    let (a, b) = (range(a), range(b));
    a.end <= b.start || b.end <= a.start
}

fn live_peak(graph: &Graph) -> usize {
    let size = |id| graph.shape(id).count().next_multiple_of(fovea_graph::ALIGN);
    let alive = |n: usize| graph.value_ids().filter(|&id| lifetime(graph, id).contains(&n)).map(size).sum();
    (0..graph.nodes().len()).map(alive).max().unwrap_or(0)
}

#[test]
fn a_chain_needs_two_places() {
    let mut g = Graph::new();
    let mut x = g.input("x", &[1, 1, 8, 8]).unwrap();
    for _ in 0..10 {
        x = g.push(Op::Scale { factor: 1.5 }, &[x]).unwrap();
    }
    let plan = Plan::new(&g);
    assert_eq!((plan.floats(), plan.lower_bound()), (3 * 64, 3 * 64));
}
