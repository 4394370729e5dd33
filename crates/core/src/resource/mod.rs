//! The network's resources, machines among them: what is known of each, and how they stand together.
//!
//! What is understood of a resource is typed ([`view`]); the rest of what was sent is kept beside it as a text
//! that nobody here reads ([`Resource::document`]). Children (subnets, security rules) are part of their parent:
//! setting one is a change of the parent.
//!
//! A kind of its own costs a variant of [`Kind`], a file here with what is understood of it, one in
//! `decide/resource/` with its rules, and one on each of the wire's sides.

pub mod id;

pub mod firewall;
pub mod firewall_policy;
pub mod load_balancer;
pub mod network_interface;
pub mod public_ip;
pub mod virtual_machine;
pub mod virtual_network;

pub mod view;

pub mod fault;
pub mod network;
mod shelves;

mod behind;
mod concern;
mod near;

pub use fault::ResourceFault;
pub use id::{InboundNatRuleId, Kind, ResourceId, SubnetId, Target};
pub use network::Network;
pub use view::{Resource, ResourceDraft, Tags, View, ViewDraft};
