//! Training: epochs, schedules, evaluation, checkpoints, exact resume and the run record.
