//! The hands: one loop makes every guard agree with what must be open, and says what it saw.

pub mod guard;
