//! The field of view: which pixels show the retina, found from the photograph where a set has no masks.

use crate::image::{Image, Mask};

/// Red values up to this are never retina: the camera's black frame and its noise (35 of 255).
pub const FIELD_RED_MIN: f32 = 35.0 / 255.0;

/// Where the threshold lies on the way from the frame's median red to the field's: glare lifts the whole frame of some
/// photographs to about [`FIELD_RED_MIN`] (STARE 0044), and the field's dim rim must stay inside.
const FRAME_TO_FIELD: f32 = 0.12;

/// Radius of the majority filter that smooths the found edge, as a fraction of the image's shorter side.
const SMOOTH_FRACTION: f32 = 0.01;

/// The field of view of a fundus photograph: the largest 4-connected region of bright red, its holes filled, its edge
/// smoothed by a majority filter. `None` where no pixel is bright enough.
///
/// A first region, above [`FIELD_RED_MIN`], tells field from frame; the threshold is then raised to 12 % of the way from the
/// frame's median red to the field's, and the region found again.
#[must_use]
pub fn field_of_view(image: &Image) -> Option<Mask> {
    let first = brightest_region(image, FIELD_RED_MIN)?;
    let median_where = |on: u8| {
        let pixels = image.channel(0).iter().zip(&first.data);
        median(pixels.filter(|(_, v)| **v == on).map(|(red, _)| *red).collect())
    };
    let threshold = match (median_where(0), median_where(1)) {
        (Some(frame), Some(field)) => FIELD_RED_MIN.max(frame + FRAME_TO_FIELD * (field - frame)),
        // All of it is field.
        _ => return Some(first),
    };
    let rough = brightest_region(image, threshold)?;
    let radius = (image.height.min(image.width) as f32 * SMOOTH_FRACTION).round() as usize;
    let mut mask = majority(&rough, radius);
    keep_largest(&mut mask)?;
    Some(mask)
}

/// The smallest box around a mask's pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldBox {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl FieldBox {
    /// The box of a mask; `None` where the mask is empty.
    #[must_use]
    pub fn of(mask: &Mask) -> Option<Self> {
        let rows = |row: &[u8]| row.contains(&1);
        let lines = || mask.data.chunks_exact(mask.width);
        let top = lines().position(rows)?;
        let bottom = mask.height - lines().rev().position(rows)?;
        let left = lines().filter_map(|row| row.iter().position(|&v| v == 1)).min()?;
        let right = lines().filter_map(|row| row.iter().rposition(|&v| v == 1)).max()? + 1;
        Some(Self { top, left, height: bottom - top, width: right - left })
    }

    /// The field's diameter in pixels: its longer side, as many cameras cut the circle's top and bottom off.
    #[must_use]
    pub fn diameter(&self) -> usize {
        self.height.max(self.width)
    }
}

/// The largest region whose red is above `threshold`, without holes.
fn brightest_region(image: &Image, threshold: f32) -> Option<Mask> {
    let data = image.channel(0).iter().map(|&v| u8::from(v > threshold)).collect();
    let mut mask = Mask { height: image.height, width: image.width, data };
    keep_largest(&mut mask)?;
    fill_holes(&mut mask);
    Some(mask)
}

fn median(mut values: Vec<f32>) -> Option<f32> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f32::total_cmp).1)
}

/// Clears all but the largest 4-connected region (the first in reading order among equals); `None` if there is none.
fn keep_largest(mask: &mut Mask) -> Option<()> {
    let (names, sizes) = regions(mask, 1);
    let largest = (1..sizes.len()).max_by_key(|&i| (sizes[i], std::cmp::Reverse(i)))?;
    for (value, name) in mask.data.iter_mut().zip(names) {
        *value = u8::from(name as usize == largest);
    }
    Some(())
}

/// Sets every background pixel that is not connected to the image's border through background.
fn fill_holes(mask: &mut Mask) {
    let (names, sizes) = regions(mask, 0);
    let (height, width) = (mask.height, mask.width);
    let mut outside = vec![false; sizes.len()];
    let border_rows = (0..width).flat_map(|x| [x, (height - 1) * width + x]);
    let border_columns = (0..height).flat_map(|y| [y * width, y * width + width - 1]);
    for at in border_rows.chain(border_columns) {
        outside[names[at] as usize] = true;
    }
    for (value, name) in mask.data.iter_mut().zip(names) {
        *value = u8::from(*value == 1 || !outside[name as usize]);
    }
}

/// Names the 4-connected regions of pixels equal to `of` 1, 2, ... in reading order; other pixels get 0. Returns each
/// pixel's name and each name's size (entry 0 is unused).
fn regions(mask: &Mask, of: u8) -> (Vec<u32>, Vec<usize>) {
    let (height, width) = (mask.height, mask.width);
    let mut names = vec![0u32; mask.data.len()];
    let mut sizes = vec![0];
    let mut open = Vec::new();
    for start in 0..names.len() {
        if mask.data[start] != of || names[start] != 0 {
            continue;
        }
        let name = sizes.len() as u32;
        names[start] = name;
        open.push(start);
        let mut size = 0;
        while let Some(at) = open.pop() {
            size += 1;
            let (row, column) = (at / width, at % width);
            let neighbours = [
                (row > 0).then(|| at - width),
                (row + 1 < height).then(|| at + width),
                (column > 0).then(|| at - 1),
                (column + 1 < width).then(|| at + 1),
            ];
            for next in neighbours.into_iter().flatten() {
                if mask.data[next] == of && names[next] == 0 {
                    names[next] = name;
                    open.push(next);
                }
            }
        }
        sizes.push(size);
    }
    (names, sizes)
}

/// Each pixel becomes what most pixels in the square of side `2 radius + 1` around it are, cut off at the image's border.
fn majority(mask: &Mask, radius: usize) -> Mask {
    let (height, width) = (mask.height, mask.width);
    // sums[(y, x)] counts the pixels above and left of (y, x); (height + 1, width + 1)
    let mut sums = vec![0u32; (height + 1) * (width + 1)];
    for (y, row) in mask.data.chunks_exact(width).enumerate() {
        let mut line = 0;
        for (x, &value) in row.iter().enumerate() {
            line += u32::from(value);
            sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + line;
        }
    }
    let mut data = Vec::with_capacity(mask.data.len());
    for y in 0..height {
        let (y0, y1) = (y.saturating_sub(radius), (y + radius + 1).min(height));
        for x in 0..width {
            let (x0, x1) = (x.saturating_sub(radius), (x + radius + 1).min(width));
            let at = |y: usize, x: usize| sums[y * (width + 1) + x];
            let set = at(y1, x1) + at(y0, x0) - at(y0, x1) - at(y1, x0);
            data.push(u8::from(2 * set as usize > (y1 - y0) * (x1 - x0)));
        }
    }
    Mask { height, width, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disc of radius 40 in 100 x 120 pixels: red inside, `frame` outside.
    fn disc(frame: f32, red: impl Fn(usize, usize) -> f32) -> (Image, Mask) {
        let inside = |y: usize, x: usize| (y as f32 - 50.0).hypot(x as f32 - 60.0) <= 40.0;
        let at = |p: usize| (p / 120, p % 120);
        let field: Vec<u8> = (0..12_000).map(|p| u8::from(inside(at(p).0, at(p).1))).collect();
        let value = |p: usize| if field[p] == 1 { red(at(p).0, at(p).1) } else { frame };
        let mut data: Vec<f32> = (0..12_000).map(value).collect();
        data.resize(36_000, 0.0);
        (Image::new(100, 120, data).unwrap(), Mask::new(100, 120, field).unwrap())
    }

    fn disagreement(a: &Mask, b: &Mask) -> usize {
        a.data.iter().zip(&b.data).filter(|(a, b)| a != b).count()
    }

    #[test]
    fn finds_a_disc_with_dark_spots_and_stray_light() {
        let spot = |y: usize, x: usize| if y.abs_diff(50) < 6 && x.abs_diff(70) < 6 { 0.02 } else { 0.6 };
        let (mut image, truth) = disc(0.02, spot);
        image.channel_mut(0)[3] = 0.9; // apart from the disc
        let found = field_of_view(&image).unwrap();
        assert!(disagreement(&found, &truth) <= 40, "{} pixels differ", disagreement(&found, &truth));
        assert_eq!(found.data[50 * 120 + 70], 1, "a dark lesion is inside the field");
        assert_eq!(found.data[3], 0);
    }

    #[test]
    fn glare_in_the_frame_does_not_join_the_field() {
        // The frame is above the fixed threshold on one side, as in STARE 0044.
        let (mut image, truth) = disc(0.10, |_, _| 0.9);
        for row in image.channel_mut(0).chunks_exact_mut(120) {
            row[..14].fill(0.15);
            row[14..22].iter_mut().for_each(|v| *v = v.max(0.15));
        }
        let found = field_of_view(&image).unwrap();
        assert!(disagreement(&found, &truth) <= 40, "{} pixels differ", disagreement(&found, &truth));
    }

    #[test]
    fn a_black_image_has_no_field_and_a_bright_one_is_all_field() {
        let black = Image::new(8, 9, vec![0.05; 216]).unwrap();
        assert_eq!(field_of_view(&black), None);
        let bright = Image::new(8, 9, vec![0.5; 216]).unwrap();
        assert_eq!(field_of_view(&bright).unwrap().count(), 72);
    }

    #[test]
    fn box_and_diameter() {
        let mut mask = Mask::filled(6, 8, false).unwrap();
        assert_eq!(FieldBox::of(&mask), None);
        mask.data[8 + 2] = 1;
        mask.data[4 * 8 + 7] = 1;
        let found = FieldBox::of(&mask).unwrap();
        assert_eq!(found, FieldBox { top: 1, left: 2, height: 4, width: 6 });
        assert_eq!(found.diameter(), 6);
    }
}
