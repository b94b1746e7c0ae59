//! Growing the arterial and venous trees from the optic disc.
//!
//! A tip walks in short steps, steered by a guide (along an arcade, into the macula, outwards) and set off its
//! course by sines that make it wind. At a branching the radii obey Murray's law, `r0^3 = r1^3 + r2^3`, and the
//! angles the minimum-work condition that follows from it (Murray, "The physiological principle of minimum
//! work", PNAS and J. Gen. Physiol. 1926): `cos t1 = (r0^4 + r1^4 - r2^4) / (2 r0^2 r1^2)`.
//! Vessels of one kind never cross, as in the eye; an artery may cross a vein.

use std::collections::VecDeque;

use fovea_tensor::Stream;

use super::anatomy::{Anatomy, Point};
use crate::math::{pow, sin_cos};

/// Retina units per step of a tip.
const STEP: f32 = 2.0;
/// Vessels end below this radius.
const RADIUS_MIN: f32 = 0.45;
/// Nothing is grown farther than this from the macula.
const REACH: f32 = 420.0;
/// Half of the side of the zone without vessels at the fovea.
const AVASCULAR_RADIUS: f32 = 24.0;
/// Bound on the steps of all tips together, whatever a seed may grow.
const STEPS_MAX: usize = 40_000;

/// Which way the blood flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Artery,
    Vein,
}

/// A short, straight piece of a vessel: a cone from `a` to `b`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub a: Point,
    pub b: Point,
    pub radius_a: f32,
    pub radius_b: f32,
    pub kind: Kind,
    /// Number of the vessel that it belongs to.
    pub vessel: u32,
}

/// Grows both trees.
pub(super) fn grow(anatomy: &Anatomy, stream: &mut Stream) -> Vec<Segment> {
    let mut grower = Grower { anatomy, stream, occupied: Occupied::new(), segments: Vec::new(), vessels: 0 };
    // Thick vessels claim their place first; children wait in line behind every trunk.
    let mut waiting = VecDeque::from(grower.trunks());
    let mut steps = 0;
    while let Some(tip) = waiting.pop_front() {
        grower.walk(tip, &mut waiting, &mut steps);
    }
    grower.segments
}

/// What a tip steers by.
#[derive(Debug, Clone, Copy)]
enum Guide {
    /// Along the arcade: an ellipse around the macula at a relative level, above (-1) or below (+1).
    Arcade { half: f32, level: f32 },
    /// Towards the fovea or, beyond it, the horizontal raphe.
    Inwards,
    /// Away from the middle between disc and macula.
    Outwards,
}

#[derive(Debug, Clone, Copy)]
struct Tip {
    at: Point,
    heading: Point,
    radius: f32,
    kind: Kind,
    guide: Guide,
    vessel: u32,
    parent: u32,
    /// Length walked.
    walked: f32,
    next_branch: f32,
    /// Amplitude (radians), wave number and phase of two sines of the winding.
    winding: [(f32, f32, f32); 2],
}

struct Grower<'a> {
    anatomy: &'a Anatomy,
    stream: &'a mut Stream,
    occupied: Occupied,
    segments: Vec<Segment>,
    vessels: u32,
}

impl Grower<'_> {
    /// The vessels that leave the disc: an artery and a vein in each quadrant, and small ones to the macula.
    fn trunks(&mut self) -> Vec<Tip> {
        let mut tips = Vec::new();
        for half in [-1.0, 1.0] {
            for (kind, low, high) in [(Kind::Vein, 3.2, 4.2), (Kind::Artery, 2.4, 3.1)] {
                let level = if kind == Kind::Vein { 1.0 } else { 1.0 + self.stream.range(-0.3, 0.3) };
                let radius = self.stream.range(low, high);
                let lean = if kind == Kind::Vein { -0.3 } else { 0.2 } + self.stream.range(-0.3, 0.3);
                tips.push(self.trunk(Point::new(lean, half), radius, kind, Guide::Arcade { half, level }));
                let nasal = Point::new(-1.0, half * self.stream.range(0.35, 1.3));
                let share = self.stream.range(0.5, 0.75);
                tips.push(self.trunk(nasal, radius * share, kind, Guide::Outwards));
            }
            for kind in [Kind::Artery, Kind::Vein] {
                let towards = Point::new(1.0, half * self.stream.range(0.35, 1.0));
                let radius = self.stream.range(0.8, 1.2);
                tips.push(self.trunk(towards, radius, kind, Guide::Inwards));
            }
        }
        tips
    }

    fn trunk(&mut self, heading: Point, radius: f32, kind: Kind, guide: Guide) -> Tip {
        let spread = self.anatomy.disc_radius * 0.16;
        let start = Point::new(self.stream.range(-spread, spread), self.stream.range(-spread, spread));
        let origin = self.anatomy.disc.plus(start, 1.0).plus(Point::new(-4.0, 0.0), 1.0);
        self.tip(origin, heading.unit(), radius, kind, guide, u32::MAX)
    }

    fn tip(&mut self, at: Point, heading: Point, radius: f32, kind: Kind, guide: Guide, parent: u32) -> Tip {
        let vessel = self.vessels;
        self.vessels += 1;
        // Thin vessels wind more and in shorter waves; veins a little more than arteries.
        let amplitude = self.anatomy.tortuosity * (0.13 + 0.16 / (0.6 + radius));
        let length = 18.0 + 13.0 * radius;
        let mut wave = |share: f32, longer: f32| {
            let amplitude = amplitude * share * self.stream.range(0.4, 1.4);
            let turns = 1.0 / (length * longer * self.stream.range(0.7, 1.5));
            (amplitude, turns * std::f32::consts::TAU, self.stream.range(0.0, std::f32::consts::TAU))
        };
        let winding = [wave(1.0, 1.0), wave(0.8, 2.3)];
        let next_branch = if parent == u32::MAX { 40.0 } else { self.spacing(radius) };
        Tip { at, heading, radius, kind, guide, vessel, parent, walked: 0.0, next_branch, winding }
    }

    /// Length to the next branching.
    fn spacing(&mut self, radius: f32) -> f32 {
        let mean = if radius < 0.75 { 60.0 } else { 20.0 + 5.0 * radius };
        mean * self.stream.range(0.5, 1.5)
    }

    fn walk(&mut self, mut tip: Tip, waiting: &mut VecDeque<Tip>, steps: &mut usize) {
        while tip.radius >= RADIUS_MIN && *steps < STEPS_MAX {
            *steps += 1;
            let wanted = self.wanted(&tip);
            let inertia = 14.0 + 5.0 * tip.radius;
            tip.heading = tip.heading.plus(wanted, STEP / inertia).unit();
            let turn: f32 = tip.winding.iter().map(|(a, k, phase)| a * sine(k * tip.walked + phase)).sum();
            let (sin, cos) = sin_cos(f64::from(turn));
            let next = tip.at.plus(tip.heading.turned(cos as f32, sin as f32), STEP);
            if self.must_stop(&tip, next) {
                return;
            }
            let taper = match tip.guide {
                Guide::Inwards if tip.radius > 0.9 => 0.0035,
                _ if tip.radius < 0.9 => 0.0018,
                _ => 0.0004,
            };
            let radius = tip.radius * (1.0 - taper * STEP);
            self.segments.push(Segment {
                a: tip.at,
                b: next,
                radius_a: tip.radius,
                radius_b: radius,
                kind: tip.kind,
                vessel: tip.vessel,
            });
            self.occupied.mark(next, tip.kind, tip.vessel);
            (tip.at, tip.radius, tip.walked) = (next, radius, tip.walked + STEP);
            if tip.walked >= tip.next_branch {
                let child = self.branch(&mut tip);
                waiting.push_back(child);
            }
        }
    }

    fn must_stop(&self, tip: &Tip, next: Point) -> bool {
        let young = tip.walked < 12.0 + 2.0 * tip.radius;
        let near_disc = next.minus(self.anatomy.disc).length() < self.anatomy.disc_radius * 1.15;
        let ahead = next.plus(tip.heading, 3.0 + tip.radius);
        let met =
            self.occupied.at(ahead, tip.kind).filter(|v| *v != tip.vessel && !(young && *v == tip.parent));
        next.length() > REACH || next.length() < AVASCULAR_RADIUS || (met.is_some() && !near_disc)
    }

    /// The direction that the guide asks for, a unit vector.
    fn wanted(&self, tip: &Tip) -> Point {
        let p = tip.at;
        match tip.guide {
            Guide::Arcade { half, level } => {
                let centre_x = 15.0;
                let dx = p.x - centre_x;
                let across = if dx < 0.0 { centre_x - self.anatomy.disc.x } else { 340.0 };
                let up = self.anatomy.arcade_height;
                let gradient = Point::new(dx / (across * across), p.y / (up * up)).unit();
                let here = (dx / across) * (dx / across) + (p.y / up) * (p.y / up);
                let tangent = Point::new(gradient.y * half, -gradient.x * half);
                tangent.plus(gradient, ((level - here) * 1.5).clamp(-1.0, 1.0)).unit()
            }
            Guide::Inwards => {
                let target = if p.x < 0.0 { Point::new(0.0, 0.0) } else { Point::new(p.x + 40.0, 0.0) };
                target.minus(p).unit()
            }
            Guide::Outwards => p.minus(self.anatomy.disc.plus(self.anatomy.disc, -0.35)).unit(),
        }
    }

    /// Splits a side vessel off `tip`, which goes on thinner and turned a little.
    fn branch(&mut self, tip: &mut Tip) -> Tip {
        let fork = self.stream.chance(if tip.radius > 1.5 { 0.2 } else { 0.3 });
        let hand = if self.stream.chance(0.5) { 1.0 } else { -1.0 };
        // No thick vessel turns towards the fovea.
        let inwards =
            tip.heading.turned(0.0, hand).dot(tip.at) < 0.0 && matches!(tip.guide, Guide::Arcade { .. });
        let fork = fork && !inwards;
        let ratio = if fork { self.stream.range(0.7, 1.0) } else { self.stream.range(0.3, 0.62) };
        let ratio = (ratio * tip.radius).max(0.85).min(tip.radius) / tip.radius;
        let (main, side) = murray(tip.radius, ratio);
        let turned =
            |cosine: f32, hand: f32| tip.heading.turned(cosine, hand * (1.0 - cosine * cosine).sqrt());
        let heading = turned(branch_cosine(tip.radius, side, main), hand);
        let guide = match tip.guide {
            Guide::Arcade { .. } if inwards => Guide::Inwards,
            Guide::Arcade { half, level } if fork => Guide::Arcade { half, level: level + 0.5 },
            Guide::Arcade { .. } => Guide::Outwards,
            same => same,
        };
        let child = self.tip(tip.at, heading, side, tip.kind, guide, tip.vessel);
        tip.heading = turned(branch_cosine(tip.radius, main, side), -hand);
        tip.radius = main;
        tip.next_branch = tip.walked + self.spacing(main);
        child
    }
}

/// Radii of the two daughters of `parent` whose ratio (side to main) is given: `parent^3 = main^3 + side^3`.
fn murray(parent: f32, ratio: f32) -> (f32, f32) {
    let main = parent / pow(f64::from(1.0 + ratio * ratio * ratio), 1.0 / 3.0) as f32;
    (main, main * ratio)
}

/// Cosine of the angle between the parent's course and the daughter of radius `own`, at most about 66 degrees.
fn branch_cosine(parent: f32, own: f32, other: f32) -> f32 {
    let fourth = |r: f32| r * r * r * r;
    let cosine = (fourth(parent) + fourth(own) - fourth(other)) / (2.0 * parent * parent * own * own);
    cosine.clamp(0.4, 1.0)
}

/// Which vessel of each kind passes through each small square of the retina.
struct Occupied {
    cells: Vec<[u32; 2]>,
}

impl Occupied {
    const CELL: f32 = 4.0;
    const SIDE: usize = (2.0 * (REACH + 20.0) / Self::CELL) as usize;

    fn new() -> Self {
        Occupied { cells: vec![[u32::MAX; 2]; Self::SIDE * Self::SIDE] }
    }

    fn index(p: Point) -> usize {
        let cell = |v: f32| (((v + REACH + 20.0) / Self::CELL) as usize).min(Self::SIDE - 1);
        cell(p.y) * Self::SIDE + cell(p.x)
    }

    fn mark(&mut self, p: Point, kind: Kind, vessel: u32) {
        self.cells[Self::index(p)][kind as usize] = vessel;
    }

    fn at(&self, p: Point, kind: Kind) -> Option<u32> {
        Some(self.cells[Self::index(p)][kind as usize]).filter(|v| *v != u32::MAX)
    }
}

fn sine(angle: f32) -> f32 {
    sin_cos(f64::from(angle)).0 as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::SyntheticCamera;

    fn tree(index: u32) -> Vec<Segment> {
        let camera = SyntheticCamera::alice();
        grow(&Anatomy::draw(&camera, 3, index), &mut camera.stream(3, "vessels", index))
    }

    #[test]
    fn daughters_obey_murrays_law() {
        for ratio in [0.3, 0.7, 1.0] {
            let (main, side) = murray(2.5, ratio);
            assert!((main * main * main + side * side * side - 2.5 * 2.5 * 2.5).abs() < 1e-4);
            assert!((side / main - ratio).abs() < 1e-6);
            assert!(
                branch_cosine(2.5, main, side) >= branch_cosine(2.5, side, main),
                "the thin one turns more"
            );
        }
        // Equal daughters: cos = 2^(-1/3), 37.5 degrees each.
        let (main, side) = murray(1.0, 1.0);
        assert!((branch_cosine(1.0, main, side) - 0.7937).abs() < 1e-3);
    }

    #[test]
    fn vessels_are_connected_and_only_grow_thinner() {
        let segments = tree(0);
        let ends: std::collections::HashSet<[u32; 2]> =
            segments.iter().map(|s| [s.b.x.to_bits(), s.b.y.to_bits()]).collect();
        let disc = Anatomy::draw(&SyntheticCamera::alice(), 3, 0).disc;
        for s in &segments {
            assert!(s.radius_b < s.radius_a && s.radius_a >= RADIUS_MIN);
            let rooted = s.a.minus(disc).length() < 20.0;
            assert!(
                rooted || ends.contains(&[s.a.x.to_bits(), s.a.y.to_bits()]),
                "a loose piece at {:?}",
                s.a
            );
        }
    }

    #[test]
    fn trunks_and_twigs_have_the_widths_of_a_fundus_and_spare_the_fovea() {
        for index in 0..6 {
            let segments = tree(index);
            let widest = segments.iter().map(|s| 2.0 * s.radius_a).fold(0.0, f32::max);
            let thinnest = segments.iter().map(|s| 2.0 * s.radius_b).fold(9.0, f32::min);
            assert!((6.0..9.0).contains(&widest) && (0.8..1.3).contains(&thinnest), "{widest} {thinnest}");
            assert!(segments.iter().all(|s| s.b.length() >= AVASCULAR_RADIUS && s.b.length() <= REACH));
            for half in [-1.0, 1.0] {
                let far = segments.iter().any(|s| s.b.x > 150.0 && s.b.y * half > 40.0 && s.radius_a > 1.0);
                assert!(far, "an arcade of eye {index} ends before the temporal side");
            }
        }
    }
}
