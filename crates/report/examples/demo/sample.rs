//! A made-up experiment: drawn eyes, predictions of set quality, scored for real.

#![allow(clippy::unwrap_used)]

use fovea_metrics::{ImageScores, Mask, Pixels, Ranking};
use fovea_report::{
    About, Federation, ImageRow, Model, ModelCurves, ModelRun, Prediction, Rgb, Role, RunSummary, SetScores,
    Site, TestPicture, TestSet,
};
use fovea_tensor::Stream;

/// The parts of a page.
pub struct Sample {
    pub summary: RunSummary,
    pub curves: Vec<ModelCurves>,
    pub pictures: Vec<TestPicture>,
}

/// Key, title, role, noise of the predictions, final loss.
const MODELS: [(&str, &str, Role, f32, f64); 4] = [
    ("alice", "Camera A alone", Role::Local, 1.62, 0.205),
    ("bob", "Camera B alone", Role::Local, 1.74, 0.221),
    ("federated", "Federated", Role::Federated, 1.40, 0.182),
    ("pooled", "Pooled", Role::Pooled, 1.36, 0.176),
];
const THRESHOLD: f32 = 0.48;

/// `images` eyes of `side` pixels, and one run of each of four models per seed.
pub fn sample(side: usize, images: usize, seeds: &[u64]) -> Sample {
    let eyes: Vec<Eye> = (0..images).map(|i| Eye::draw(side, i as u32)).collect();
    let models = MODELS.iter().map(|m| model(m, &eyes, seeds)).collect();
    let observer = eyes.iter().map(|eye| {
        let drawn = eye.predict(9.0, 1.5, 0).iter().map(|&p| u8::from(p > 0.5)).collect::<Vec<_>>();
        let mask = Mask::new([side, side], &drawn, &eye.label, &eye.field).unwrap();
        ImageRow { image: eye.name.clone(), scores: ImageScores::of_mask(&mask) }
    });
    let set = TestSet {
        key: "main".into(),
        title: format!("{images} images of two cameras"),
        note: "Drawn eyes, to show the page: no patient, no trained model.".into(),
        observer: Some(SetScores::new("main", observer.collect())),
    };
    let about = About {
        experiment: "Retinal vessels, two cameras, one federated model".into(),
        profile: "demo".into(),
        seeds: seeds.to_vec(),
        steps: 2000,
        parameters: 31785,
        date: "2026-01-01T12:00:00Z".into(),
        commit: "0123abcd".into(),
        machine: "example machine".into(),
        threads: 8,
        seconds: 1934.2,
        peak_memory_bytes: Some(734_003_200),
    };
    let summary = RunSummary::new(about, vec![set], models, Some(federation()));
    let curves = MODELS.iter().map(|m| curves(m, &eyes, seeds[0])).collect();
    let pictures = eyes.iter().map(|eye| picture(eye, seeds[0])).collect();
    Sample { summary, curves, pictures }
}

fn federation() -> Federation {
    let site = |name: &str, dropped_rounds| Site {
        name: name.into(),
        images: 16,
        bytes_sent: 127_140 * 100,
        bytes_received: 139_480 * 100,
        dropped_rounds,
    };
    Federation {
        rounds: 100,
        aggregation: "secure aggregation in pair mode, 4 local steps per round".into(),
        secure: true,
        pair_mode: true,
        differential_privacy: None,
        equals_clear: Some(true),
        sites: vec![site("alice", 0), site("bob", 2)],
    }
}

type Spec = (&'static str, &'static str, Role, f32, f64);

fn model(&(key, title, role, noise, last): &Spec, eyes: &[Eye], seeds: &[u64]) -> Model {
    let run = |&seed: &u64| {
        let mut stream = Stream::new(seed, key, [0, 0]);
        let loss = |epoch: usize| {
            let start = 1.45 - last;
            last * (1.0 + 0.04 * seed as f64)
                + start * (-(epoch as f64) / 9.0).exp()
                + 0.012 * f64::from(stream.normal())
        };
        let losses = (0..100).map(loss).collect();
        let rows = eyes.iter().map(|eye| {
            let p = eye.predict(seed as f32, noise, key.len() as u32);
            let pixels = Pixels::new([eye.side, eye.side], &p, &eye.label, &eye.field).unwrap();
            ImageRow { image: eye.name.clone(), scores: ImageScores::of(&pixels, THRESHOLD) }
        });
        ModelRun {
            seed,
            threshold: THRESHOLD,
            losses,
            seconds: 95.0 + 7.0 * seed as f64,
            model_hash: format!("{:016x}", 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed + key.len() as u64)),
            sets: vec![SetScores::new("main", rows.collect())],
        }
    };
    Model {
        key: key.into(),
        title: title.into(),
        role,
        threshold_chosen_on: "its training images".into(),
        runs: seeds.iter().map(run).collect(),
    }
}

fn curves(&(key, _, _, noise, _): &Spec, eyes: &[Eye], seed: u64) -> ModelCurves {
    let p: Vec<Vec<f32>> = eyes.iter().map(|e| e.predict(seed as f32, noise, key.len() as u32)).collect();
    let pixels: Vec<Pixels> = eyes
        .iter()
        .zip(&p)
        .map(|(e, p)| Pixels::new([e.side, e.side], p, &e.label, &e.field).unwrap())
        .collect();
    let ranking = Ranking::new(&pixels);
    ModelCurves { model: key.into(), roc: ranking.roc_curve(200), pr: ranking.pr_curve(200) }
}

fn picture(eye: &Eye, seed: u64) -> TestPicture {
    let predictions = MODELS.iter().map(|&(key, _, _, noise, _)| {
        let p = eye.predict(seed as f32, noise, key.len() as u32);
        Prediction {
            model: key.into(),
            mask: p.iter().zip(&eye.field).map(|(&p, &f)| u8::from(p >= THRESHOLD && f != 0)).collect(),
        }
    });
    TestPicture {
        image: eye.name.clone(),
        photo: eye.photo.clone(),
        label: eye.label.clone(),
        field: eye.field.clone(),
        predictions: predictions.collect(),
    }
}

struct Eye {
    name: String,
    side: usize,
    photo: Rgb,
    label: Vec<u8>,
    field: Vec<u8>,
    /// 1 in the middle of a vessel, 0.5 at its wall, falling to 0 outside.
    depth: Vec<f32>,
}

impl Eye {
    fn draw(side: usize, index: u32) -> Eye {
        let mut stream = Stream::new(7, "eye", [index, 0]);
        let s = side as f32;
        let mut depth = vec![0.0f32; side * side];
        let disc = (s * if index.is_multiple_of(2) { 0.27 } else { 0.73 }, s * stream.range(0.44, 0.54));
        for branch in 0..9 {
            let angle = branch as f32 * 0.698 + stream.range(-0.25, 0.25);
            grow(&mut depth, side, disc, angle, s * stream.range(0.007, 0.0105), &mut stream, 0);
        }
        let inside = |i: usize| {
            let (x, y) = ((i % side) as f32 - s / 2.0, (i / side) as f32 - s / 2.0);
            (x * x + y * y).sqrt() < 0.47 * s
        };
        let field: Vec<u8> = (0..side * side).map(|i| u8::from(inside(i))).collect();
        let label = depth.iter().zip(&field).map(|(&d, &f)| u8::from(d > 0.5 && f != 0)).collect();
        let mut pixels = Vec::with_capacity(side * side * 3);
        for i in 0..side * side {
            let (x, y) = ((i % side) as f32 / s - 0.5, (i / side) as f32 / s - 0.5);
            let (dx, dy) = ((i % side) as f32 - disc.0, (i / side) as f32 - disc.1);
            let bright = (1.0 - 1.3 * (x * x + y * y)) * f32::from(field[i]);
            let glow = (-(dx * dx + dy * dy) / (0.006 * s * s)).exp() * f32::from(field[i]);
            let base = if index.is_multiple_of(2) { [205.0, 98.0, 46.0] } else { [188.0, 120.0, 62.0] };
            let lit = [40.0, 95.0, 80.0];
            for c in 0..3 {
                let dark = 1.0 - depth[i].min(1.0) * [0.22, 0.48, 0.42][c];
                pixels.push(
                    (base[c] * bright * dark + lit[c] * glow + 2.5 * stream.normal()).clamp(0.0, 255.0) as u8,
                );
            }
        }
        let photo = Rgb::new(side, side, pixels).unwrap();
        Eye {
            name: format!("eye {:02} (camera {})", index + 1, ["A", "B"][(index % 2) as usize]),
            side,
            photo,
            label,
            field,
            depth,
        }
    }

    /// Probabilities: the depth under noise of a strength, in patches and in pixels.
    fn predict(&self, seed: f32, noise: f32, salt: u32) -> Vec<f32> {
        let mut stream =
            Stream::new(seed as u64, "prediction", [salt, self.name.len() as u32 + self.label.len() as u32]);
        let patches: Vec<f32> = (0..10_000).map(|_| stream.normal()).collect();
        let side = self.side;
        let logit = |i: usize| {
            let patch = patches[(i / side / 7 * 89 + i % side / 7) % 10_000];
            7.5 * (self.depth[i].min(1.0) - 0.47) + noise * (0.95 * patch + 0.35 * stream.normal())
        };
        (0..side * side).map(logit).map(|z| 1.0 / (1.0 + (-z).exp())).collect()
    }
}

/// A vessel from a point outwards, with branches, thinner and thinner.
fn grow(
    depth: &mut [f32],
    side: usize,
    start: (f32, f32),
    mut angle: f32,
    mut radius: f32,
    stream: &mut Stream,
    level: u32,
) {
    let (mut x, mut y) = start;
    for step in 0..side {
        angle += stream.range(-0.07, 0.07);
        x += angle.cos();
        y += angle.sin();
        radius *= 0.9975;
        if radius < 0.55 || x < 0.0 || y < 0.0 || x >= side as f32 || y >= side as f32 {
            return;
        }
        stamp(depth, side, x, y, radius);
        if level < 3 && step % 31 == 30 && stream.chance(0.55) {
            let turn = if stream.chance(0.5) { 0.6 } else { -0.6 };
            grow(depth, side, (x, y), angle + turn, radius * 0.75, stream, level + 1);
        }
    }
}

fn stamp(depth: &mut [f32], side: usize, x: f32, y: f32, radius: f32) {
    let reach = radius as isize + 3;
    for v in (y as isize - reach).max(0)..(y as isize + reach).min(side as isize) {
        for u in (x as isize - reach).max(0)..(x as isize + reach).min(side as isize) {
            let away = ((u as f32 - x).powi(2) + (v as f32 - y).powi(2)).sqrt();
            let value = (0.5 + (radius - away) * 0.4).clamp(0.0, 1.0);
            let cell = &mut depth[v as usize * side + u as usize];
            *cell = cell.max(value);
        }
    }
}
