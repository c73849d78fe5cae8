//! One network of one engine: what it is given, what is measured.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// Who agrees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// `tacit_consensus::Core`.
    Tacit,
    /// `hotstuff_rs` as published: its threads spin.
    HotStuff,
    /// The same, made to sleep where its traits allow it.
    HotStuffSleeping,
}

impl Engine {
    pub(crate) const ALL: [Self; 3] = [Self::Tacit, Self::HotStuff, Self::HotStuffSleeping];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tacit => "tacit",
            Self::HotStuff => "hotstuff_rs",
            Self::HotStuffSleeping => "hotstuff_rs, sleeping",
        }
    }
}

/// What happens to the network.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Blocks as fast as they come.
    Full,
    /// The same; after the warm-up one replica has crashed.
    Crash,
    /// Nobody has anything to order. An engine without idle mode makes four empty blocks a second.
    Idle,
}

/// One measurement.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) engine: Engine,
    pub(crate) scene: Scene,
    /// Replicas.
    pub(crate) n: u16,
    /// Bytes that each block orders.
    pub(crate) payload: usize,
    /// Of every link.
    pub(crate) delay: Duration,
    /// How long is measured, after a warm-up.
    pub(crate) window: Duration,
}

impl Case {
    /// As arguments for the process that runs it.
    pub(crate) fn arguments(&self) -> [String; 6] {
        let engine = Engine::ALL.iter().position(|engine| *engine == self.engine);
        let scene = match self.scene {
            Scene::Full => "full",
            Scene::Crash => "crash",
            Scene::Idle => "idle",
        };
        [
            engine.expect("one of all").to_string(),
            scene.to_owned(),
            self.n.to_string(),
            self.payload.to_string(),
            self.delay.as_micros().to_string(),
            self.window.as_millis().to_string(),
        ]
    }

    /// Reads [`Case::arguments`].
    pub(crate) fn from_arguments(arguments: &[String]) -> Option<Self> {
        let [engine, scene, n, payload, delay, window] = arguments else {
            return None;
        };
        Some(Self {
            engine: *Engine::ALL.get(engine.parse::<usize>().ok()?)?,
            scene: match scene.as_str() {
                "full" => Scene::Full,
                "crash" => Scene::Crash,
                "idle" => Scene::Idle,
                _ => return None,
            },
            n: n.parse().ok()?,
            payload: payload.parse().ok()?,
            delay: Duration::from_micros(delay.parse().ok()?),
            window: Duration::from_millis(window.parse().ok()?),
        })
    }

    /// The columns of its figures that say what it is.
    pub(crate) fn columns(self) -> Map<String, Value> {
        let columns = json!({
            "engine": self.engine.name(),
            "n": self.n,
            "payload, bytes": self.payload,
            "link delay, ms": self.delay.as_secs_f64() * 1000.0,
        });
        match columns {
            Value::Object(columns) => columns,
            _ => unreachable!("an object was made"),
        }
    }
}
