//! What can be known of the shaders with no GPU: they are valid WGSL, their `Params` are what the launches write, every op has one, and
//! a step costs the dispatches and bytes that it did.
#![allow(clippy::unwrap_used, reason = "the helpers of these tests are not test functions")]

use fovea_gpu::shader::{SHADERS, Source};
use fovea_gpu::{Counted, Launch, Word, counted, launches};
use fovea_graph::{Activation, Graph, Op, ValueId, reference::op_named};
use fovea_testkit::{golden_cases, golden_ops};
use fovea_train::{StepProgram, TrainConfig};
use fovea_unet::{UNet, UNetConfig};
use std::collections::{BTreeMap, BTreeSet};

fn module(source: &Source) -> naga::Module {
    let text = source.text();
    naga::front::wgsl::parse_str(&text).unwrap_or_else(|error| {
        panic!("{}: {}", source.name, error.emit_to_string(&text));
    })
}

/// Browsers offer no more than this: no optional capability of naga is needed.
#[test]
fn every_shader_is_valid() {
    for source in SHADERS {
        let module = module(source);
        let flags = naga::valid::ValidationFlags::all();
        let mut validator = naga::valid::Validator::new(flags, naga::valid::Capabilities::empty());
        let validated = validator.validate(&module);
        assert!(validated.is_ok(), "{}: {:?}", source.name, validated.err());
        let entries: Vec<&str> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(entries, ["main"], "{}", source.name);
        assert_eq!(module.entry_points[0].workgroup_size, [256, 1, 1], "{}", source.name);
        assert!(workgroup_bytes(&module) <= 16_384, "{}: workgroup memory", source.name);
    }
}

/// Every file of `shaders/` is part of a shader of the table.
#[test]
fn no_file_is_left_over() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shaders");
    let known: BTreeSet<String> = SHADERS.iter().map(Source::text).collect();
    for folder in [folder.join("parts"), folder] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(known.iter().any(|shader| shader.contains(&text)), "{} is unused", path.display());
            }
        }
    }
}

/// WebGPU's default limit is 16 KiB.
fn workgroup_bytes(module: &naga::Module) -> u32 {
    let shared = module.global_variables.iter().filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup);
    shared.map(|(_, v)| module.types[v.ty].inner.size(module.to_ctx())).sum()
}

/// Every launch of every golden case and of whole networks: names, types and offsets of its numbers, its number of bindings, and its
/// constants.
#[test]
fn launches_fit_their_shaders() {
    let mut seen = BTreeSet::new();
    for launch in every_launch() {
        let source = SHADERS.iter().find(|s| s.name == launch.shader).unwrap();
        if seen.insert((launch.shader, launch.constants.iter().map(|(name, _)| *name).collect::<Vec<_>>())) {
            fits(&launch, &module(source));
        }
    }
    let launched: BTreeSet<&str> = seen.iter().map(|(name, _)| *name).collect();
    let idle: Vec<&str> = SHADERS.iter().map(|s| s.name).filter(|name| !launched.contains(name)).collect();
    // The guess gives these no case here; tests on a device run every tile of every product.
    let allowed = |name: &&str| name.ends_with(".8") || ["check_finite", "fma_peak"].contains(name);
    assert!(idle.iter().all(allowed), "shaders that nothing launches: {idle:?}");
}

fn fits(launch: &Launch, module: &naga::Module) {
    let (_, params) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("Params")).unwrap();
    let naga::TypeInner::Struct { members, .. } = &params.inner else { panic!("Params is a struct") };
    let declared: Vec<(&str, u32, naga::ScalarKind)> = members
        .iter()
        .map(|m| {
            let naga::TypeInner::Scalar(scalar) = module.types[m.ty].inner else { panic!("scalars only") };
            (m.name.as_deref().unwrap(), m.offset, scalar.kind)
        })
        .collect();
    let written: Vec<(&str, u32, naga::ScalarKind)> = launch
        .params
        .members()
        .iter()
        .enumerate()
        .map(|(i, (name, word))| {
            let kind = match word {
                Word::Unsigned(_) => naga::ScalarKind::Uint,
                Word::Float(_) => naga::ScalarKind::Float,
            };
            (*name, 4 * i as u32, kind)
        })
        .collect();
    assert_eq!(declared, written, "{}", launch.shader);
    let storage =
        module.global_variables.iter().filter(|(_, v)| matches!(v.space, naga::AddressSpace::Storage { .. }));
    let bindings: BTreeSet<u32> = storage.map(|(_, v)| v.binding.unwrap().binding).collect();
    assert_eq!(bindings, (1..=launch.bindings.len() as u32).collect(), "{}", launch.shader);
    assert!(launch.bindings.len() <= 8, "{}: WebGPU's default limit of storage bindings", launch.shader);
    for (name, _) in &launch.constants {
        let known = module.overrides.iter().any(|(_, o)| o.name.as_deref() == Some(name));
        assert!(known, "{} has no constant {name}", launch.shader);
    }
    for (i, a) in launch.bindings.iter().enumerate() {
        for b in &launch.bindings[i + 1..] {
            let apart = a.offset + a.floats <= b.offset || b.offset + b.floats <= a.offset;
            assert!(apart, "{}: two writable bindings overlap", launch.shader);
        }
    }
}

/// Launches of all golden cases, and of two training steps.
fn every_launch() -> Vec<Launch> {
    let mut all = Vec::new();
    for name in golden_ops().unwrap() {
        for case in golden_cases(&name).unwrap() {
            let Some(op) = op_named(&name, &case.attributes) else { panic!("{name}") };
            all.extend(launches(&single(op, &case.inputs)).into_iter().flatten());
        }
    }
    for config in [default_step(), seed_step()] {
        all.extend(launches(&config).into_iter().flatten());
    }
    all
}

/// A graph of one op over the shapes of a golden case.
fn single(op: Op, inputs: &[fovea_testkit::Array]) -> Graph {
    let mut graph = Graph::new();
    let updated = op.updates();
    let ids: Vec<ValueId> = inputs
        .iter()
        .enumerate()
        .map(|(i, array)| {
            let name = format!("in{i}");
            let declared = if updated.contains(&i) {
                graph.persistent(&name, &array.dims)
            } else {
                graph.input(&name, &array.dims)
            };
            declared.unwrap()
        })
        .collect();
    if updated.is_empty() {
        graph.push(op, &ids).unwrap();
    } else {
        graph.update(op, &ids).unwrap();
    }
    graph
}

fn default_step() -> Graph {
    let config = TrainConfig::default_profile();
    let unet = UNet::new(config.model.clone()).unwrap();
    StepProgram::new(&config, &unet, (96, 96)).unwrap().graph
}

fn seed_step() -> Graph {
    let config = TrainConfig { model: UNetConfig::seed(), batch: 4, ..TrainConfig::default_profile() };
    let unet = UNet::new(config.model.clone()).unwrap();
    StepProgram::new(&config, &unet, (224, 224)).unwrap().graph
}

fn seed_inference() -> Graph {
    let unet = UNet::new(UNetConfig::seed()).unwrap();
    unet.inference([1, 3, 592, 576], Activation::Sigmoid).unwrap().graph
}

/// Exact numbers: a change of any of them is a change of what a step costs on every device, and is to be meant.
#[test]
fn a_step_costs_what_it_did() {
    let found: BTreeMap<&str, Counted> = BTreeMap::from([
        ("default step, 4 x 96 x 96", counted(&default_step())),
        ("published step, 4 x 224 x 224", counted(&seed_step())),
        ("published inference, 592 x 576", counted(&seed_inference())),
    ]);
    let expected = BTreeMap::from([
        ("default step, 4 x 96 x 96", Counted { dispatches: 222, bytes: 222_342_944, flops: 3_490_283_520 }),
        (
            "published step, 4 x 224 x 224",
            Counted { dispatches: 197, bytes: 5_814_584_624, flops: 778_333_323_264 },
        ),
        (
            "published inference, 592 x 576",
            Counted { dispatches: 21, bytes: 2_142_557_188, flops: 441_183_633_408 },
        ),
    ]);
    assert_eq!(found, expected);
}
