//! The line between a site and its coordinator, with everything that goes wrong on it.
#![allow(clippy::unwrap_used, reason = "the helpers of these tests are not test functions")]

#[path = "common/wires.rs"]
mod wires;
#[path = "common/world.rs"]
mod world;

use fovea_net::api::{AskStatus, Body, Call, Held, Piece, Refusal, Refused};
use fovea_net::auth::{Signed, Ticket, VERSION_HEADER};
use fovea_net::client::{Client, Endpoint, Roots, enrol};
use fovea_net::error::NetError;
use fovea_net::limits::{BODY_MAX, CLOCK_SKEW_MAX_MS, INVITATION_MS, MESSAGE_MAX, PIECE_BYTES};
use fovea_net::now_ms;
use fovea_net::tls::authority;
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::Identity;
use fovea_secagg::message::{Hello, Phase};
use fovea_secagg::sets::SiteId;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use wires::{Line, impostor, proxy};
use world::{World, identity, until};

fn refused<T: std::fmt::Debug>(result: Result<T, NetError>) -> Refused {
    match result {
        Err(NetError::Refused(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn an_invitation_brings_one_key_in_once() {
    let world = World::new();
    let _running = world.start();
    let token = world.token("alice", now_ms() + INVITATION_MS);
    let enrolled = enrol(&token, None, &identity(1)).unwrap();
    assert_eq!(enrolled.federation, "test");
    assert!(enrol(&token, None, &identity(1)).is_ok(), "an answer that was lost can be asked for again");
    assert_eq!(refused(enrol(&token, None, &identity(2))), Refused::InvitationUsed);
    let expired = world.token("bob", now_ms() - 1);
    assert_eq!(refused(enrol(&expired, None, &identity(2))), Refused::InvitationExpired);
    let mut guessed = world.token("bob", now_ms() + INVITATION_MS);
    guessed.secret[0] ^= 1;
    assert_eq!(refused(enrol(&guessed, None, &identity(2))), Refused::Invitation);
    guessed.secret[0] ^= 1;
    guessed.site = "carol".into();
    assert_eq!(refused(enrol(&guessed, None, &identity(2))), Refused::Invitation);
    let names: Vec<String> = world.store().members().unwrap().into_iter().map(|m| m.site).collect();
    assert_eq!(names, ["alice"]);
    // A second invitation replaces the key, as long as no job's roster holds the first.
    let again = world.token("alice", now_ms() + INVITATION_MS);
    enrol(&again, None, &identity(3)).unwrap();
    assert_eq!(world.store().members().unwrap()[0].key, identity(3).public());
    world.join("bob", 2);
    world.offer(&["alice", "bob"], 1, 1000);
    let late = world.token("alice", now_ms() + INVITATION_MS);
    assert_eq!(refused(enrol(&late, None, &identity(4))), Refused::Unexpected);
}

#[test]
fn an_invitation_of_another_authority_is_noticed() {
    let world = World::new();
    let _running = world.start();
    let mut token = world.token("alice", now_ms() + INVITATION_MS);
    token.authority = Some(Hash([1; 32]));
    assert!(matches!(enrol(&token, None, &identity(1)), Err(NetError::ForeignCertificate { .. })));
}

#[test]
fn a_foreign_certificate_is_refused_by_name() {
    let world = World::new();
    let _running = world.start();
    let endpoint = world.join("alice", 1);
    let foreign = Roots::Federation(authority("test").unwrap().certificate);
    let client = world.client(&Endpoint { roots: foreign, ..endpoint.clone() }, 1);
    let error = client.call(&AskStatus).unwrap_err();
    assert!(matches!(error, NetError::ForeignCertificate { .. }), "{error}");
    assert!(!error.is_passing() && error.to_string().contains("firewall"), "{error}");
    // The right authority, the wrong host.
    let url = endpoint.url.replace("127.0.0.1", "localhost");
    let error = world.client(&Endpoint { url, ..endpoint }, 1).call(&AskStatus).unwrap_err();
    assert!(matches!(error, NetError::ForeignCertificate { .. }), "{error}");
}

#[test]
fn older_versions_of_tls_are_not_spoken() {
    let world = World::new();
    let _running = world.start();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let der = fovea_net::tls::certificate_der(&world.authority.certificate).unwrap();
    let connect = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(der.clone().into()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "127.0.0.1".try_into().unwrap();
        let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut tcp = std::net::TcpStream::connect(("127.0.0.1", world.port)).unwrap();
        tls.complete_io(&mut tcp).map(|_| ())
    };
    assert!(connect(&[&rustls::version::TLS13]).is_ok());
    assert!(connect(&[&rustls::version::TLS12]).is_err());
}

/// Requests as bytes, to be changed at will.
struct Raw {
    agent: ureq::Agent,
    url: String,
}

impl Raw {
    fn new(world: &World) -> Self {
        let der = fovea_net::tls::certificate_der(&world.authority.certificate).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[Certificate::from_der(&der).to_owned()]))
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false).build();
        Raw { agent: config.into(), url: world.url() }
    }

    /// Status, version header and, where there is one, the reason.
    fn send(
        &self,
        version: &str,
        path: &str,
        ticket: Option<&Ticket>,
        body: &[u8],
    ) -> (u16, String, Option<Refused>) {
        let mut request = self.agent.post(format!("{}{path}", self.url)).header(VERSION_HEADER, version);
        for (name, value) in ticket.map(Ticket::headers).into_iter().flatten() {
            request = request.header(name, value);
        }
        let mut response = request.send(body).unwrap();
        let said = response.headers()[VERSION_HEADER].to_str().unwrap().to_owned();
        let answer = response.body_mut().read_to_vec().unwrap();
        let refusal = Refusal::read(&answer, 1 << 20).ok().map(|refusal| refusal.refused);
        (response.status().as_u16(), said, refusal)
    }
}

fn ticket(identity: &Identity, path: &str, body: &[u8], time_ms: u64, nonce: u8) -> Ticket {
    let coordinator = world::identity(99).public();
    let request = Signed { coordinator: &coordinator, method: "POST", path, body };
    Ticket::sign(identity, request, time_ms, [nonce; 16])
}

#[test]
fn requests_are_taken_once_from_members_in_time_and_whole() {
    let world = World::new();
    let _running = world.start();
    world.join("alice", 1);
    let (raw, path, body) = (Raw::new(&world), AskStatus::path(), AskStatus.to_bytes(64).unwrap());
    let send = |ticket: &Ticket, body: &[u8]| raw.send("1", &path, Some(ticket), body);
    let good = ticket(&identity(1), &path, &body, now_ms(), 1);
    assert_eq!(send(&good, &body), (200, "1".into(), None));
    assert_eq!(send(&good, &body), (401, "1".into(), Some(Refused::Replay)));
    let next = |nonce| ticket(&identity(1), &path, &body, now_ms(), nonce);
    let later = next(2);
    let later = Ticket { time_ms: later.time_ms + 1, ..later };
    assert_eq!(send(&later, &body).2, Some(Refused::Signature));
    let mut changed = body.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(send(&next(3), &changed).2, Some(Refused::Signature));
    let elsewhere = ticket(&identity(1), "/v1/poll", &body, now_ms(), 4);
    assert_eq!(send(&elsewhere, &body).2, Some(Refused::Signature));
    let forged = Ticket { key: identity(1).public(), ..ticket(&identity(2), &path, &body, now_ms(), 5) };
    assert_eq!(send(&forged, &body), (401, "1".into(), Some(Refused::Signature)));
    let stranger = ticket(&identity(2), &path, &body, now_ms(), 6);
    assert_eq!(send(&stranger, &body), (403, "1".into(), Some(Refused::Stranger)));
    for time in [now_ms() - CLOCK_SKEW_MAX_MS - 5000, now_ms() + CLOCK_SKEW_MAX_MS + 5000] {
        assert_eq!(send(&ticket(&identity(1), &path, &body, time, 7), &body).2, Some(Refused::Clock));
    }
    let early = ticket(&identity(1), &path, &body, now_ms() - 60_000, 8);
    assert_eq!(send(&early, &body).2, Some(Refused::Replay), "from before the coordinator started");
    assert_eq!(raw.send("1", &path, None, &body).0, 401);
    assert_eq!(send(&next(9), &body).0, 200, "nothing of this harmed the member");
    let nowhere = ticket(&identity(1), "/v1/nothing", &body, now_ms(), 10);
    assert_eq!(raw.send("1", "/v1/nothing", Some(&nowhere), &body).2, Some(Refused::Unexpected));
    let junk = ticket(&identity(1), &path, b"junk", now_ms(), 11);
    assert_eq!(send(&junk, b"junk"), (400, "1".into(), Some(Refused::Malformed)));
}

#[test]
fn oversized_bodies_are_refused_before_they_are_kept() {
    let world = World::new();
    let _running = world.start();
    world.join("alice", 1);
    let (raw, path) = (Raw::new(&world), AskStatus::path());
    let body = vec![0; BODY_MAX + 1];
    let ticket = ticket(&identity(1), &path, &body, now_ms(), 1);
    assert_eq!(raw.send("1", &path, Some(&ticket), &body), (413, "1".into(), Some(Refused::TooLarge)));
}

#[test]
fn another_version_is_named_at_both_ends() {
    let world = World::new();
    let _running = world.start();
    let endpoint = world.join("alice", 1);
    let (path, body) = (AskStatus::path(), AskStatus.to_bytes(64).unwrap());
    let good = ticket(&identity(1), &path, &body, now_ms(), 1);
    assert_eq!(Raw::new(&world).send("2", &path, Some(&good), &body), (426, "1".into(), None));
    let answer = "HTTP/1.1 426 Upgrade Required\r\nfovea-version: 9\r\ncontent-length: 0\r\n\r\n";
    let url = format!("https://127.0.0.1:{}", impostor(&world.server, answer));
    let error = world.client(&Endpoint { url, ..endpoint }, 1).call(&AskStatus).unwrap_err();
    assert!(matches!(&error, NetError::Version { own: 1, theirs } if theirs == "9"), "{error}");
    assert!(!error.is_passing() && error.to_string().contains("install one release"), "{error}");
}

#[test]
fn nobody_answers_in_the_coordinators_place() {
    let world = World::new();
    let _running = world.start();
    let endpoint = world.join("alice", 1);
    let yes = "HTTP/1.1 200 OK\r\nfovea-version: 1\r\ncontent-length: 2\r\n\r\nok";
    let page = "HTTP/1.1 403 Forbidden\r\ncontent-length: 7\r\n\r\nblocked";
    for (answer, status) in [(yes, 200), (page, 403)] {
        let url = format!("https://127.0.0.1:{}", impostor(&world.server, answer));
        let error = world.client(&Endpoint { url, ..endpoint.clone() }, 1).call(&AskStatus).unwrap_err();
        assert!(matches!(error, NetError::Stranger { status: s, .. } if s == status), "{error}");
    }
}

/// A message that only the transport looks at: the machine drops it.
fn message(length: usize) -> Vec<u8> {
    use fovea_secagg::envelope::{Envelope, Header};
    let header = Header { ctx: Hash([1; 32]), phase: Phase::MaskedChunk, from: SiteId(0) };
    let filler = fovea_wire::Bytes((0..length - 160).map(|i| (i * 7) as u8).collect());
    Envelope::seal(header, &filler, &identity(1)).unwrap()
}

/// A world whose job has begun, so that messages are taken.
fn begun(world: &World) -> Endpoint {
    let endpoint = world.join("alice", 1);
    let other = world.join("bob", 2);
    let offered = world.offer(&["alice", "bob"], 1, 60_000);
    for (endpoint, seed) in [(&endpoint, 1), (&other, 2)] {
        let (me, client) = (identity(seed), world.client(endpoint, seed));
        until("the job is offered", || client.call(&fovea_net::api::AskJob).is_ok());
        let site = offered.place_of(&me.public()).unwrap();
        let consent = fovea_net::document::SiteConsent::sign(&offered, site, &me).to_bytes().unwrap();
        client.call(&fovea_net::api::GiveConsent { consent: fovea_wire::Bytes(consent) }).unwrap();
    }
    endpoint
}

fn held(client: &Client, message: &[u8]) -> u32 {
    let (digest, bytes) = (Hash(Sha256::digest(message).into()), fovea_wire::Bytes::default());
    let Held { bytes } =
        client.call(&Piece { digest, length: message.len() as u32, offset: 0, bytes }).unwrap();
    bytes
}

#[test]
fn a_cut_in_the_middle_costs_at_most_one_piece() {
    let world = World::new();
    let _running = world.start();
    let endpoint = begun(&world);
    let message = message(MESSAGE_MAX - 200);
    // The first connection breaks in the first piece, the second in the middle of the second.
    let line = Line::to(world.port, &[PIECE_BYTES + 200_000, 100_000]);
    let url = format!("https://127.0.0.1:{}", line.port);
    let client = world.client(&Endpoint { url, ..endpoint }, 1);
    let mut troubles = 0;
    client.upload(&message, |_| troubles += 1).unwrap();
    assert_eq!(held(&client, &message), message.len() as u32);
    let sent = line.up.load(Ordering::SeqCst);
    assert!(troubles >= 2 && line.connections.load(Ordering::SeqCst) >= 3, "{troubles} cuts");
    // What was lost: 100,000 bytes of one piece and 200,000 of another; TLS and headers come on top.
    assert!(sent < message.len() + 300_000 + 40_000, "{sent} bytes for a message of {}", message.len());
}

#[test]
fn a_network_that_refuses_large_bodies_gets_small_ones() {
    let world = World { body_max: Some(70_000), ..World::new() };
    let _running = world.start();
    let client = world.client(&begun(&world), 1);
    let message = message(400_000);
    client.upload(&message, |error| panic!("{error}")).unwrap();
    assert_eq!(client.piece_bytes(), PIECE_BYTES / 8);
    assert_eq!(held(&client, &message), message.len() as u32);
}

#[test]
fn messages_of_others_and_lies_about_them_are_refused() {
    let world = World::new();
    let _running = world.start();
    begun(&world);
    let bob = Endpoint { ..world_endpoint(&world) };
    let client = world.client(&bob, 2);
    // Signed by alice, brought by bob.
    assert_eq!(refused(client.upload(&message(1000), |_| {})), Refused::Unexpected);
    assert_eq!(refused(client.upload(b"no message at all", |_| {})), Refused::Unexpected);
    let hello = Hello { round: 0, position: Hash([0; 32]), awaits: None, refused: None };
    let piece = |length: usize| {
        let bytes = fovea_wire::Bytes(fovea_wire::to_body(&hello, 100).unwrap());
        Piece { digest: Hash([7; 32]), length: length as u32, offset: 0, bytes }
    };
    assert_eq!(refused(client.call(&piece(MESSAGE_MAX + 1))), Refused::TooLarge);
    let short = piece(1).bytes.0.len();
    assert_eq!(refused(client.call(&piece(short))), Refused::Malformed, "another content than its digest");
}

fn world_endpoint(world: &World) -> Endpoint {
    let roots = Roots::Federation(world.authority.certificate.clone());
    Endpoint { url: world.url(), coordinator: identity(99).public(), roots, proxy: None }
}

#[test]
fn a_proxy_is_honoured_and_a_wrong_one_is_named() {
    let world = World::new();
    let _running = world.start();
    let endpoint = world.join("alice", 1);
    let (port, asked) = proxy();
    let through = |proxy: String| world.client(&Endpoint { proxy: Some(proxy), ..endpoint.clone() }, 1);
    through(format!("http://127.0.0.1:{port}")).call(&AskStatus).unwrap();
    assert_eq!(asked.lock().unwrap()[0], format!("CONNECT 127.0.0.1:{} HTTP/1.1", world.port));
    let error = through("http://127.0.0.1:1".into()).call(&AskStatus).unwrap_err();
    assert!(matches!(error, NetError::Connection { .. }) && error.is_passing(), "{error}");
    let endpoint = Endpoint { proxy: Some("not a proxy".into()), ..endpoint };
    let error = Client::new(endpoint, identity(1), Arc::default()).unwrap_err();
    assert!(error.to_string().contains("http://host:port"), "{error}");
}
