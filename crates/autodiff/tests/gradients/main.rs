//! Gradients against central differences of the float64 reference, op by op and through a whole network.

mod check;
mod convolution;
mod elementwise;
mod normalisation;
mod refusals;
mod spatial;
mod unet;
