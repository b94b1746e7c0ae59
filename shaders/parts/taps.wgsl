// Computes: part; which two pixels of an axis an enlarged pixel mixes, with exact integers up to one last quotient.
// Bindings: none.
// Owns: nothing.
// Order: no sums.

// 0 nearest, 1 bilinear with the corners' centres aligned, 2 bilinear with half-pixel centres.
override MODE: u32 = 0u;
// f, at least 2.
override FACTOR: u32 = 2u;

struct Tap {
    low: u32,
    high: u32,
    // Weight of `high`; that of `low` is one minus it.
    share: f32,
}

// The tap of pixel `i` of an axis that had `extent` pixels.
fn tap(i: u32, extent: u32) -> Tap {
    var low = i / FACTOR;
    var share = 0.0;
    if MODE == 1u {
        // The source is i (H-1) / (fH-1). With i = q f + r its numerator is q (fH-1) + r (H-1) - q (f-1), and what follows
        // q (fH-1) is smaller than fH-1 on either side of zero: nothing overflows.
        let whole = FACTOR * extent - 1u;
        let more = (i % FACTOR) * (extent - 1u);
        let less = low * (FACTOR - 1u);
        var rest = more - less;
        if more < less {
            low -= 1u;
            rest += whole;
        }
        share = f32(rest) / f32(whole);
    } else if MODE == 2u {
        // The source is (2i + 1 - f) / 2f, or 0.
        let doubled = max(2u * i + 1u, FACTOR) - FACTOR;
        low = doubled / (2u * FACTOR);
        share = f32(doubled % (2u * FACTOR)) / f32(2u * FACTOR);
    }
    return Tap(low, min(low + 1u, extent - 1u), share);
}

// The weight that pixel `p` has in a tap.
fn weight(t: Tap, p: u32) -> f32 {
    return select(0.0, 1.0 - t.share, t.low == p) + select(0.0, t.share, t.high == p);
}
