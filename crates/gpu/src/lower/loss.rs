//! Losses over the pixels of a field, and their adjoints.

use super::Site;
use super::spatial::{chunks, in_parts, sum_planes};
use crate::Words;
use crate::launch::Launch;

/// `(N, 3)`: sums over each image.
pub fn dice_sums(site: &mut Site<'_>) -> Vec<Launch> {
    let (bindings, y) = (site.places(), site.out());
    let images = y.shape.dims()[0];
    let pixels = site.inputs[0].count() / images;
    let chunks = chunks(pixels);
    in_parts(&mut site.scratch, [y.count(), chunks], y.place, |parts| {
        let params = Words::new().count("images", images).count("pixels", pixels).count("chunks", chunks);
        Launch::grouped("dice_sums", images * chunks, params, [bindings, vec![parts]].concat())
    })
}

/// Like logits.
pub fn dice_sums_grad(site: &Site<'_>) -> Vec<Launch> {
    let out = site.out();
    let params = Words::new().count("count", out.count()).count("pixels", out.count() / out.shape.dims()[0]);
    let mut bindings = site.places();
    bindings.push(out.place);
    vec![Launch::flat("dice_sums_grad", out.count(), params, bindings)]
}

/// One number from `(N, 3)`.
pub fn dice_loss(site: &Site<'_>, smooth: f32, pooled: bool) -> Vec<Launch> {
    let params = rows(site, smooth, pooled);
    vec![Launch::flat("dice_loss", 1, params, vec![site.inputs[0].place, site.out().place])]
}

/// `(N, 3)`.
pub fn dice_loss_grad(site: &Site<'_>, smooth: f32, pooled: bool) -> Vec<Launch> {
    let params = rows(site, smooth, pooled);
    let bindings = vec![site.inputs[0].place, site.inputs[1].place, site.out().place];
    vec![Launch::flat("dice_loss_grad", site.inputs[0].shape.dims()[0], params, bindings)]
}

fn rows(site: &Site<'_>, smooth: f32, pooled: bool) -> Words {
    let images = site.inputs[0].shape.dims()[0];
    Words::new().count("images", images).float("smoothing", smooth).count("pooled", usize::from(pooled))
}

/// One number: sums over pieces of the batch, then their quotient.
pub fn bce_loss(site: &mut Site<'_>) -> Vec<Launch> {
    let count = site.inputs[0].count();
    let chunks = chunks(count);
    let parts = site.scratch.take(2 * chunks);
    let params = Words::new().count("count", count).count("chunks", chunks);
    let bindings = [site.places(), vec![parts]].concat();
    let merge = Words::new().count("chunks", chunks);
    vec![
        Launch::grouped("bce_loss", chunks, params, bindings),
        Launch::grouped("bce_loss_merge", 1, merge, vec![parts, site.out().place]),
    ]
}

/// Like logits: the field's pixels are counted first.
pub fn bce_loss_grad(site: &mut Site<'_>) -> Vec<Launch> {
    let (field, out) = (site.inputs[2], site.out());
    let pixels = site.scratch.take(1);
    let mut launches = sum_planes(&mut site.scratch, [1, 1, field.count()], field.place, pixels);
    let params = Words::new().count("count", out.count());
    let bindings = [site.places(), vec![out.place, pixels]].concat();
    launches.push(Launch::flat("bce_loss_grad", out.count(), params, bindings));
    launches
}
