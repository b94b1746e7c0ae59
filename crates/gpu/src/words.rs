//! The numbers of a launch: a uniform struct of 4-byte members, by name.

/// One member of a shader's `Params`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Word {
    /// `u32`.
    Unsigned(u32),
    /// `f32`.
    Float(f32),
}

/// The members of a shader's `Params` in order. Each is 4 bytes, so member `i` lies at byte `4 i`; a test compares
/// names and types with every shader's own struct.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Words(Vec<(&'static str, Word)>);

impl Words {
    /// No members yet.
    pub fn new() -> Self {
        Words::default()
    }

    /// Adds a `u32`.
    ///
    /// # Panics
    /// When the number does not fit: extents are bounded before a graph is lowered.
    #[must_use]
    pub fn count(mut self, name: &'static str, value: usize) -> Self {
        let value = u32::try_from(value).expect("values are smaller than the binding limit");
        self.0.push((name, Word::Unsigned(value)));
        self
    }

    /// Adds an `f32`.
    #[must_use]
    pub fn float(mut self, name: &'static str, value: f32) -> Self {
        self.0.push((name, Word::Float(value)));
        self
    }

    /// Names and numbers in order.
    pub fn members(&self) -> &[(&'static str, Word)] {
        &self.0
    }

    /// As the shader reads them.
    pub fn bytes(&self) -> Vec<u8> {
        let word = |(_, word): &(&str, Word)| match word {
            Word::Unsigned(value) => value.to_le_bytes(),
            Word::Float(value) => value.to_le_bytes(),
        };
        self.0.iter().flat_map(word).collect()
    }
}
