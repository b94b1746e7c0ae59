// Computes: part; what turns one plane's x into xh = rstd (x - mean) and z = scale (x - mean) + shift. The difference comes
//   first: it is exact where the mean is large beside the deviation.
// Bindings: those named stats, gamma and beta, and the params channels, rows, groups and epsilon of the kernel.
// Owns: nothing.
// Order: no sums.

struct Affines {
    mean: f32,
    rstd: f32,
    scale: f32,
    shift: f32,
    // Index of the plane's statistic.
    statistic: u32,
}

fn affines(plane: u32) -> Affines {
    let image = plane / params.channels;
    let channel = plane % params.channels;
    let row = select(image, 0u, params.rows == 1u);
    let statistic = row * params.groups + channel / (params.channels / params.groups);
    let rstd = 1.0 / sqrt(stats[2u * statistic + 1u] + params.epsilon);
    return Affines(stats[2u * statistic], rstd, gamma[channel] * rstd, beta[channel], statistic);
}
