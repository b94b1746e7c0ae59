//! Taking a trainer's state out and putting it back.

use crate::program::Bank;
use crate::{TrainError, TrainState, Trainer};
use sha2::{Digest, Sha256};

impl Trainer {
    /// Everything that is needed to go on.
    ///
    /// # Errors
    /// When the device fails.
    pub fn state(&self) -> Result<TrainState, TrainError> {
        let read = |bank: &Bank| bank.read(self.executor.as_ref(), self.unet.parameters());
        Ok(TrainState {
            config: self.config.clone(),
            layout_hash: self.unet.parameters().layout_hash(),
            data_hash: self.data_hash(),
            step: self.step,
            seconds: self.seconds,
            parameters: self.model()?,
            moments: self.program.moments.iter().map(read).collect::<Result<_, _>>()?,
            average: self.average()?,
            anchor: self.program.anchor.as_ref().map(read).transpose()?,
            losses: self.losses.clone(),
            best: self.best.clone(),
        })
    }

    /// Continues from a state: the steps that follow are those of the run that never stopped, to the bit.
    ///
    /// # Errors
    /// [`TrainError::OtherRun`] where settings, network or images differ; [`TrainError::Length`].
    pub fn restore(&mut self, state: &TrainState) -> Result<(), TrainError> {
        let table = self.unet.parameters();
        let same = [
            ("network", state.layout_hash == table.layout_hash()),
            ("configuration", state.config == self.config),
            ("set of training images", state.data_hash == self.data_hash()),
            ("number of moments", state.moments.len() == self.program.moments.len()),
            ("weight average", state.average.is_some() == self.program.average.is_some()),
            ("anchor", state.anchor.is_some() == self.program.anchor.is_some()),
        ];
        if let Some((what, _)) = same.into_iter().find(|(_, same)| !same) {
            return Err(TrainError::OtherRun { what });
        }
        if let Some(best) = state.best.as_ref().filter(|b| b.model.len() != table.count()) {
            let (expected, found) = (table.count(), best.model.len());
            return Err(TrainError::Length { what: "the best model", expected, found });
        }
        let executor = self.executor.as_mut();
        self.program.parameters.write(executor, table, "the model", &state.parameters)?;
        for (bank, moment) in self.program.moments.iter().zip(&state.moments) {
            bank.write(executor, table, "a moment", moment)?;
        }
        if let (Some(bank), Some(average)) = (&self.program.average, &state.average) {
            bank.write(executor, table, "the average", average)?;
        }
        if let (Some(bank), Some(anchor)) = (&self.program.anchor, &state.anchor) {
            bank.write(executor, table, "the anchor", anchor)?;
        }
        (self.step, self.seconds, self.next) = (state.step, state.seconds, None);
        (self.losses, self.best) = (state.losses.clone(), state.best.clone());
        Ok(())
    }

    fn data_hash(&self) -> String {
        let mut hash = Sha256::new_with_prefix(b"fovea training images 1\n");
        for sample in self.samples.iter() {
            hash.update((sample.entry.name.len() as u64).to_le_bytes());
            hash.update(&sample.entry.name);
            hash.update(sample.entry.hash);
        }
        hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}
