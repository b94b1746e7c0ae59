//! The field of view: which pixels show the retina, found from the photograph where a set has no masks.

use crate::image::{Image, Mask};

/// Red values above this are retina, the rest is the camera's black frame (35 of 255; the retina is bright in red, and the
/// sensor's noise in the frame stays below).
pub const FIELD_RED_MIN: f32 = 35.0 / 255.0;

/// Radius of the majority filter that smooths the found edge, as a fraction of the image's shorter side.
const SMOOTH_FRACTION: f32 = 0.01;

/// The field of view of a fundus photograph: the largest 4-connected region whose red is above [`FIELD_RED_MIN`], its holes
/// filled, its edge smoothed by a majority filter. `None` where no pixel is bright enough.
#[must_use]
pub fn field_of_view(image: &Image) -> Option<Mask> {
    let (height, width) = (image.height, image.width);
    let bright = image.channel(0).iter().map(|&v| u8::from(v > FIELD_RED_MIN)).collect();
    let mut mask = Mask { height, width, data: bright };
    keep_largest(&mut mask)?;
    fill_holes(&mut mask);
    let radius = (height.min(width) as f32 * SMOOTH_FRACTION).round() as usize;
    let mut mask = majority(&mask, radius);
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
