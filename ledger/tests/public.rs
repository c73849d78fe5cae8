//! The public lane on a simulated network: who governs, who is suspended, who renews, who sits in the next epoch, and
//! what a light client makes of it.

#[path = "public/collateral.rs"]
mod collateral;
#[path = "public/governance.rs"]
mod governance;
#[path = "public/light.rs"]
mod light;
#[path = "public/outlook.rs"]
mod outlook;
#[path = "public/renew.rs"]
mod renew;
#[path = "public/seats.rs"]
mod seats;
#[path = "public/suspend.rs"]
mod suspend;
#[path = "public/world.rs"]
mod world;
