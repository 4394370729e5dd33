//! Broken rules: each is the real one with one mistake that somebody could make.
use crate::rules::Rules;

pub fn all() -> Vec<Box<dyn Rules>> {
    Vec::new()
}
