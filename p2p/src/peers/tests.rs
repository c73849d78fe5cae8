//! Admission, roles and memory of the peer book.

use super::*;

fn book(max_connections: u32) -> (Book, Instant) {
    (
        Book::new(PeerId::random(), Limits::default(), max_connections),
        Instant::now(),
    )
}

fn connection(id: usize) -> Connection {
    Connection {
        id: ConnectionId::new_unchecked(id),
        address: "/ip4/127.0.0.1/tcp/1".parse().expect("address"),
        direction: Direction::Inbound,
        since: Instant::now(),
    }
}

fn connect(book: &mut Book, peer: PeerId, id: usize, now: Instant) -> bool {
    let admitted = book.admit(peer, now).is_ok();
    if admitted {
        book.opened(peer, connection(id), now);
    }
    admitted
}

#[test]
fn a_share_of_connections_is_kept_for_validators() {
    let (mut book, now) = book(10);
    let validators: Vec<PeerId> = (0..3).map(|_| PeerId::random()).collect();
    book.set_validators(validators.iter().copied().collect(), now);
    let others = (0..20)
        .filter(|id| connect(&mut book, PeerId::random(), *id, now))
        .count();
    assert_eq!(others, 4, "ten less two for each of three validators");
    for (index, validator) in validators.iter().enumerate() {
        assert!(connect(&mut book, *validator, 100 + index, now));
        assert!(connect(&mut book, *validator, 200 + index, now));
    }
    assert!(!connect(&mut book, PeerId::random(), 300, now));
}

#[test]
fn a_third_connection_closes_the_oldest_even_when_full() {
    let (mut book, now) = book(4);
    let validator = PeerId::random();
    book.set_validators([validator].into(), now);
    assert!(connect(&mut book, validator, 1, now));
    assert!(connect(&mut book, validator, 2, now));
    assert!(connect(&mut book, PeerId::random(), 3, now));
    assert!(connect(&mut book, PeerId::random(), 4, now));
    assert!(book.admit(validator, now).is_ok());
    assert_eq!(
        book.opened(validator, connection(5), now),
        Some(ConnectionId::new_unchecked(1))
    );
}

#[test]
fn a_banned_peer_is_refused_until_the_ban_ends_and_then_has_half_the_credit() {
    let (mut book, now) = book(10);
    let peer = PeerId::random();
    assert!(connect(&mut book, peer, 1, now));
    assert!(!book.charge(&peer, Offence::Malformed, now));
    assert!(!book.charge(&peer, Offence::Malformed, now));
    assert!(book.charge(&peer, Offence::Malformed, now));
    assert!(
        !book.charge(&peer, Offence::Malformed, now),
        "a ban is pronounced once"
    );
    assert_eq!(book.take_evictions(), [peer].into());
    assert!(matches!(book.admit(peer, now), Err(Refusal::Banned(_))));
    book.closed(peer, ConnectionId::new_unchecked(1), now);
    book.prune(now);
    assert!(
        matches!(book.admit(peer, now), Err(Refusal::Banned(_))),
        "the ban outlives the connection"
    );
    let later = now + Duration::from_millis(Limits::default().ban_ms);
    assert!(connect(&mut book, peer, 2, later));
    assert!(!book.charge(&peer, Offence::Malformed, later));
    assert!(book.charge(&peer, Offence::Malformed, later) || book.charge(&peer, Offence::Malformed, later));
}

#[test]
fn joining_the_registry_pardons_and_opens_a_queue() {
    let (mut book, now) = book(10);
    let peer = PeerId::random();
    assert!(connect(&mut book, peer, 1, now));
    book.ban(&peer, now);
    book.closed(peer, ConnectionId::new_unchecked(1), now);
    assert!(book.queue(&peer).is_none());
    book.set_validators([peer].into(), now);
    assert!(book.admit(peer, now).is_ok());
    assert!(
        book.queue(&peer).is_some(),
        "messages for an absent validator wait"
    );
}

#[test]
fn strangers_are_forgotten_and_never_too_many() {
    let (mut book, now) = book(u32::MAX);
    for id in 0..STRANGERS + 100 {
        let peer = PeerId::random();
        assert!(connect(&mut book, peer, id, now));
        book.charge(&peer, Offence::Invalid, now);
        book.closed(peer, ConnectionId::new_unchecked(id), now);
    }
    book.prune(now);
    assert_eq!(book.peers.len(), STRANGERS);
    book.prune(now + Duration::from_secs(3600 * 24));
    assert!(book.peers.is_empty());
}

#[test]
fn only_absent_validators_and_configured_peers_are_dialled() {
    let (mut book, now) = book(10);
    let (validator, stranger, fixed) = (PeerId::random(), PeerId::random(), PeerId::random());
    book.set_validators([validator].into(), now);
    let addresses = ["/ip4/127.0.0.1/tcp/9".parse().expect("address")];
    for (id, peer) in [validator, stranger].into_iter().enumerate() {
        assert!(connect(&mut book, peer, id, now));
        book.learn(&peer, &addresses);
    }
    book.add_fixed(fixed, addresses[0].clone(), now);
    assert_eq!(
        book.due(now)
            .into_iter()
            .map(|(peer, _)| peer)
            .collect::<Vec<_>>(),
        [fixed]
    );
    book.closed(validator, ConnectionId::new_unchecked(0), now);
    book.closed(stranger, ConnectionId::new_unchecked(1), now);
    let soon = now + Duration::from_millis(100);
    assert_eq!(
        book.due(soon)
            .into_iter()
            .map(|(peer, _)| peer)
            .collect::<Vec<_>>(),
        [validator]
    );
    assert!(book.due(soon).is_empty(), "one dial at a time");
}

#[test]
fn a_peer_that_never_gets_ready_is_let_go_and_a_ready_one_is_not() {
    let (mut book, now) = book(10);
    let (idle, ready) = (PeerId::random(), PeerId::random());
    assert!(connect(&mut book, idle, 1, now) && connect(&mut book, ready, 2, now));
    assert!(!book.progress(&ready, Step::Direct));
    assert!(!book.progress(&ready, Step::Topic(Topic::Batches)));
    assert!(!book.progress(&ready, Step::Topic(Topic::Announcements)));
    assert!(book.progress(&ready, Step::Topic(Topic::System)));
    assert!(book.greet(&ready) && !book.greet(&ready), "announced once");
    assert!(book.unready(now + READY_WITHIN).is_empty());
    assert_eq!(book.unready(now + READY_WITHIN * 2), [idle]);
}

#[test]
fn where_configured_addresses_alone_are_dialled_nothing_is_learnt() {
    let (mut book, now) = book(10);
    book.configured_only = true;
    let validator = PeerId::random();
    book.set_validators([validator].into(), now);
    let configured: Multiaddr = "/ip4/127.64.0.1/tcp/1".parse().expect("address");
    let announced: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().expect("address");
    book.add_fixed(validator, configured.clone(), now);
    assert!(connect(&mut book, validator, 1, now));
    book.learn(&validator, std::slice::from_ref(&announced));
    book.hint(&validator, &announced, now);
    book.closed(validator, ConnectionId::new_unchecked(1), now);
    assert_eq!(
        book.due(now + Duration::from_secs(1)),
        [(validator, vec![configured])]
    );
}

#[test]
fn who_dials_again_long_after_it_was_connected_is_let_in_anew() {
    let (mut book, now) = book(10);
    let peer = PeerId::random();
    assert!(book.admit_dialler(peer, now).is_ok());
    assert!(connect(&mut book, peer, 1, now));
    assert!(
        book.admit_dialler(peer, now + HANDSHAKE).is_ok(),
        "two that dial each other at once"
    );
    let later = now + 2 * HANDSHAKE;
    assert!(matches!(book.admit_dialler(peer, later), Err(Refusal::Anew)));
    assert_eq!(book.take_evictions(), [peer].into(), "what is old goes first");
    book.closed(peer, ConnectionId::new_unchecked(1), later);
    assert!(book.admit_dialler(peer, later).is_ok());
    assert!(connect(&mut book, peer, 2, later));
    assert!(
        book.admit(peer, later + 2 * HANDSHAKE).is_ok(),
        "a dial of our own"
    );
}
