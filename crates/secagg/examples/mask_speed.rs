//! Seconds to mask a vector of 31 million words for ten sites, beside the cipher's own stream rate.
//! Run with `cargo run --release -p fovea-secagg --example mask_speed [words] [sites]`.
#![allow(clippy::print_stdout, reason = "a measuring program")]

use std::time::Instant;

use fovea_secagg::encode::{RoundingKey, encode};
use fovea_secagg::layout::{Layout, LayoutError, Proven};
use fovea_secagg::prg::{BUFFER_BYTES, Label, Mask, Sign, add_masks, fill_stream};
use fovea_secagg::secret::Secret;
use rayon::prelude::*;

fn main() -> Result<(), LayoutError> {
    let mut arguments = std::env::args().skip(1).filter_map(|text| text.parse::<usize>().ok());
    let words = arguments.next().unwrap_or(31_000_000);
    let sites = arguments.next().unwrap_or(10);
    let masks: Vec<Mask> = (0..sites)
        .map(|i| Mask {
            seed: Secret::new([i as u8; 32]),
            sign: if i % 2 == 0 { Sign::Plus } else { Sign::Minus },
        })
        .collect();
    println!(
        "{words} words, {sites} streams, {} threads; best of five, seconds",
        rayon::current_num_threads()
    );
    let mut vector = vec![1u32; words];
    let stream = best(|| stream_alone(words, &masks));
    let mask = best(|| add_masks(&mut vector, &masks, Label::Vector));
    println!("cipher stream alone      {stream:.3}");
    println!("masking                  {mask:.3}  ({:.2} of the stream alone)", mask / stream);

    let layout = Layout::with_largest_exponents([("model".to_owned(), words, 1.0)], sites)?;
    let proven = Proven::new(layout, sites, 128)?;
    let (local, global) = (vec![0.25f32; words], vec![0.125f32; words]);
    let key = RoundingKey(Secret::new([7; 32]));
    let encoding = best(|| drop(encode(&proven, &local, &global, 16, &key)));
    println!("encoding                 {encoding:.3}");
    Ok(())
}

/// The same number of stream bytes, written to a small buffer and never added.
fn stream_alone(words: usize, masks: &[Mask]) {
    let tiles = (4 * words).div_ceil(1 << 16);
    (0..tiles).into_par_iter().for_each(|tile| {
        let mut buffer = [0u8; BUFFER_BYTES];
        for mask in masks {
            for part in 0..(1 << 16) / BUFFER_BYTES {
                let offset = (tile << 16) + part * BUFFER_BYTES;
                fill_stream(&mask.seed, Label::Vector, offset as u64, &mut buffer);
            }
        }
        std::hint::black_box(&buffer);
    });
}

fn best(mut work: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..5).map(time).fold(f64::INFINITY, f64::min)
}
