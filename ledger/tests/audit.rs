//! Whole chains under audit: honest ones pass, and each defect is refused by its name.

#[path = "audit/certificates.rs"]
mod certificates;
#[path = "audit/content.rs"]
mod content;
#[path = "audit/flips.rs"]
mod flips;
#[path = "audit/forge.rs"]
mod forge;
#[path = "audit/headers.rs"]
mod headers;
#[path = "audit/honest.rs"]
mod honest;
#[path = "audit/lane.rs"]
mod lane;
#[path = "audit/maker.rs"]
mod maker;
#[path = "audit/story.rs"]
mod story;
#[path = "public/world.rs"]
#[allow(dead_code, reason = "the stories of the public lane use the rest")]
mod world;
