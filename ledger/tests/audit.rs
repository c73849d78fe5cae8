//! Whole chains under audit: honest ones pass, and each defect is refused by its name.

#[path = "audit/honest.rs"]
mod honest;
#[path = "audit/maker.rs"]
mod maker;
#[path = "audit/story.rs"]
mod story;
#[path = "public/world.rs"]
#[allow(dead_code, reason = "the stories of the public lane use the rest")]
mod world;
