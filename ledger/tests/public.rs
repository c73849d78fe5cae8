//! The public lane on a simulated network: who governs, who is suspended or convicted, who joins, renews and leaves, who
//! sits in the next epoch, and what a light client makes of it.

#[path = "public/collateral.rs"]
mod collateral;
#[path = "public/convict.rs"]
mod convict;
#[path = "public/governance.rs"]
mod governance;
#[path = "public/join.rs"]
mod join;
#[path = "public/leave.rs"]
mod leave;
#[path = "public/light.rs"]
mod light;
#[path = "public/outlook.rs"]
mod outlook;
#[path = "public/protocol.rs"]
mod protocol;
#[path = "public/renew.rs"]
mod renew;
#[path = "public/seats.rs"]
mod seats;
#[path = "public/snapshot.rs"]
mod snapshot;
#[path = "public/suspend.rs"]
mod suspend;
#[path = "public/world.rs"]
mod world;
