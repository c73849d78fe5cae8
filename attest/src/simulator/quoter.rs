//! A simulated machine: a chip, and the code that it claims to run.

use zeroize::Zeroizing;

use super::chip::SimulatedChip;
use crate::evidence::{Evidence, Measurement, Platform};
use crate::quote_error::QuoteError;
use crate::quoter::Quoter;
use crate::snp::generation::Generation;

/// A [`Quoter`] that claims `measurement` because it was told to.
pub struct SimulatedQuoter {
    chip: SimulatedChip,
    measurement: Measurement,
    report_version: u32,
}

impl SimulatedQuoter {
    /// Makes reports of version 5 on Turin and 3 elsewhere, as such machines do.
    pub fn new(chip: SimulatedChip, measurement: Measurement) -> Self {
        let report_version = match chip.generation() {
            Generation::Milan | Generation::Genoa => 3,
            Generation::Turin => 5,
        };
        Self {
            chip,
            measurement,
            report_version,
        }
    }

    /// Makes reports of another version: 2, 3 or 5.
    pub fn with_report_version(self, report_version: u32) -> Self {
        Self {
            report_version,
            ..self
        }
    }
}

impl Quoter for SimulatedQuoter {
    fn platform(&self) -> Platform {
        Platform::Simulated
    }

    fn quote(&self, report_data: [u8; 64]) -> Result<Evidence, QuoteError> {
        self.chip.sign(
            &self
                .chip
                .report(self.report_version, self.measurement, report_data),
        )
    }

    fn sealing_key(&self, context: &[u8]) -> Result<Zeroizing<[u8; 32]>, QuoteError> {
        Ok(self.chip.sealing_key(self.measurement, context))
    }

    fn measurement(&self) -> Option<Measurement> {
        Some(self.measurement)
    }
}
