//! `hourgate guard doctor`: what on this machine would void the gate.
